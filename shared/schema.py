"""The bricks of every schema: strict numbers, and JSON objects that take no unknown field."""

from typing import Annotated

from pydantic import AllowInfNan, BaseModel, ConfigDict, Strict

# Strict: neither true nor "9" is a number. That 9.0 is an integer, as JSON Schema has it, web/strict_json.py sees to.
Int = Annotated[int, Strict()]
Float = Annotated[float, Strict(), AllowInfNan(False)]


class Closed(BaseModel):
    """A JSON object that takes the fields it names and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
