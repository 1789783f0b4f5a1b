"""What the calls about erasures take."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.schema import Closed
from web.requests import USER_CHARACTERS

Reference = Annotated[str, StringConstraints(min_length=1, max_length=300)]
User = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=USER_CHARACTERS)]


class Subject(Closed):
    """A dataset, by id, name (all versions) or name@3; with `listener`, what that one has played in all versions."""

    dataset: Reference
    listener: User | None = None


class NewErasure(Closed):
    """What is to go, and what becomes of the models that have learned from it."""

    subject: Subject
    models: Annotated[Literal["keep", "delete", "retrain"], Field()]
