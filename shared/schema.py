"""The bricks of every schema: strict numbers, and JSON objects that take no unknown field."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def refuse_bool_and_text(value: Any) -> Any:  # Any: whatever JSON holds
    """JSON Schema takes 9.0 for an integer, and never true or "9"; pydantic's two modes each miss one of these."""
    if isinstance(value, bool | str):
        raise ValueError(f"expected a number, received {value!r}")
    return value


Int = Annotated[int, BeforeValidator(refuse_bool_and_text)]
Float = Annotated[float, BeforeValidator(refuse_bool_and_text), Field(allow_inf_nan=False)]


class Closed(BaseModel):
    """A JSON object that takes the fields it names and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
