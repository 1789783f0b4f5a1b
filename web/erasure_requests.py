"""What the calls about erasures take."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.rights_params import TrackKey
from shared.schema import Closed
from web.requests import USER_CHARACTERS

Reference = Annotated[str, StringConstraints(min_length=1, max_length=300)]
User = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=USER_CHARACTERS)]


class Subject(Closed):
    """A dataset, by id, name (all versions) or name@3; with `listener` or `track`, that one's data in all versions."""

    dataset: Reference
    listener: User | None = None
    track: TrackKey | None = None

    @model_validator(mode="after")
    def _is_of_one(self) -> "Subject":
        if self.listener is not None and self.track is not None:
            raise ValueError("expected a listener or a track, received both")
        return self


class NewErasure(Closed):
    """What is to go, and what becomes of the models that have learned from it."""

    subject: Subject
    models: Annotated[Literal["keep", "delete", "retrain"], Field()]
