"""What a ranked list is to be like: the same for a job over all listeners and for an answer to one of them."""

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from shared.schema import Closed, Float, Int

ItemColumn = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Word = Annotated[str, StringConstraints(max_length=1024)] | bool | Int | Float
Bound = Annotated[str, StringConstraints(min_length=1, max_length=64)] | Int | Float
LONGEST_LIST = 1000


class Between(Closed):
    """From where to where a number or a date may go, both included."""

    min: Bound | None = None
    max: Bound | None = None


Wanted = Annotated[list[Word], Field(min_length=1, max_length=1000)] | Between
Columns = Annotated[dict[ItemColumn, Wanted], Field(max_length=16)]


class Filters(Closed):
    """Columns of the item table: an item has one of the labels of each that `allow` names, and of `deny` none."""

    allow: Columns = Field(default_factory=dict)
    deny: Columns = Field(default_factory=dict)


class Cap(Closed):
    """At most so many items of one list share a label in this column."""

    column: ItemColumn
    at_most: Annotated[Int, Field(ge=1, le=LONGEST_LIST)] = 2


class ListParams(Closed):
    """A list; every field has a default that works."""

    k: Annotated[Int, Field(ge=1, le=LONGEST_LIST)] = 20
    # What a listener has played is left out.
    exclude_heard: bool = True
    # Applied before anything is ranked.
    filters: Filters = Field(default_factory=Filters)
    cap: Cap | None = None
    # 0 is by score alone, 1 is as unlike each other as may be.
    diversity: Annotated[Float, Field(ge=0, le=1)] = 0.0
    # 0 is by score alone, 1 puts first what few have played.
    popularity_penalty: Annotated[Float, Field(ge=0, le=1)] = 0.0
    # What fewer have played is not named: it might give them away.
    min_listeners: Annotated[Int, Field(ge=0, le=1_000_000)] = 0
    # Which of the items that were played speaks most for each that is recommended.
    explain: bool = True

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> "ListParams":
        if self.diversity == 1 and self.popularity_penalty == 1:
            raise ValueError("expected diversity or popularity_penalty below 1: else no score counts")
        return self
