"""The `masking` of a dataset: for each of its columns one rule, and what the rules may not do to the column's role."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.masking import transforms
from shared.schema import Closed, Float, Int
from shared.wanted import Column

# Of all groups of a rule together: the child that masks gets them in one line.
GROUPED_AT_MOST = 10_000
HOW = ("width", "edges", "date", "prefix", "groups")
# Roles whose cells must stay what they are, or tell one row or one listener from another.
BY_VALUE = ("weight", "time", "start", "end", "tempo", "notes")
# Roles whose cells are words that are read: of other ones the terms of a row would be lost.
TERMS = ("licence", "consent")

Json = dict[str, Any]  # Any: JSON
Number = Annotated[Float, Field(ge=-1e15, le=1e15)]
# Of less a grid of noise, or the number of bins, would be no finite number.
Positive = Annotated[Float, Field(ge=1e-12, le=1e15)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Drop(Closed):
    """The column is not written."""

    rule: Literal["drop"]


class Hash(Closed):
    """Each cell becomes 128 bits of an HMAC-SHA256, with a key of the dataset's name: equal cells stay equal."""

    rule: Literal["hash"]


class Generalise(Closed):
    """Each cell becomes the wider thing that it belongs to; one of the fields says how."""

    rule: Literal["generalise"]
    # Numbers: the lower end of the bin of this width that holds it.
    width: Positive | None = None
    # Numbers: the greatest of these that is not above it, or else the least of these.
    edges: Annotated[list[Number], Field(min_length=1, max_length=256)] | None = None
    # Dates: the first day of the year, or of the month.
    date: Literal["year", "month"] | None = None
    # Words: their first so many characters.
    prefix: Annotated[Int, Field(ge=1, le=64)] | None = None
    # Words: the group that names it, or else "other".
    groups: Annotated[dict[Word, list[Word]], Field(min_length=1, max_length=256)] | None = None

    @model_validator(mode="after")
    def _says_how_once(self) -> "Generalise":
        said = [name for name in HOW if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"expected one of {', '.join(HOW)}, received {', '.join(said) or 'none'}")
        if self.edges is not None and any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("expected edges that grow, each once")
        words = [word for each in (self.groups or {}).values() for word in each]
        if len(words) > GROUPED_AT_MOST or len(set(words)) < len(words):
            raise ValueError(f"expected each word in one group, and {GROUPED_AT_MOST:,} words at most")
        if any(transforms.is_missing(name) for name in self.groups or {}):
            raise ValueError("expected names of groups that nobody reads as a missing cell, such as NA")
        return self


class Noise(Closed):
    """Each number is put within the bounds, then a random number is added: see docs/privacy.md."""

    rule: Literal["noise"]
    distribution: Literal["laplace", "gaussian"]
    # Of Laplace its parameter b; of Gauss the standard deviation.
    scale: Positive
    bounds: Annotated[list[Number], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _has_a_range(self) -> "Noise":
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError("expected bounds of which the first is below the second")
        return self


Rule = Annotated[Drop | Hash | Generalise | Noise, Field(discriminator="rule")]
Masking = Annotated[dict[Column, Rule], Field(min_length=1, max_length=512)]


def as_json(masking: Mapping[str, Rule]) -> Json:
    """The rules as they are kept and told; nothing in them is secret."""
    return {column: rule.model_dump(mode="json", exclude_none=True) for column, rule in masking.items()}


def misfits(masking: Mapping[str, Rule], roles: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The columns whose rule would destroy what their role needs, and what was expected of them."""
    for role, named in roles.items():
        for column in named if isinstance(named, list) else [named]:
            rule = masking.get(column) if isinstance(column, str) else None
            if rule is None:
                continue
            if role == "user":
                yield column, "expected no rule for the users: they always get pseudonyms"
            elif rule.rule == "drop":
                yield column, f"expected another rule than drop for the column that is named as {role}"
            elif role in TERMS and (rule.rule != "generalise" or rule.groups is None):
                yield column, f"expected no rule but groups for the column that is named as {role}: it says the terms"
            elif rule.rule == "noise" and role not in (*BY_VALUE[:1], "target", "mask", "drop"):
                yield column, f"expected no noise for the column that is named as {role}: nothing would be equal"
            elif rule.rule == "hash" and role in BY_VALUE:
                yield column, f"expected numbers or moments for the column that is named as {role}, not hashes"
