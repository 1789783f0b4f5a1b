"""What the calls about cards, aliases, comparisons and archives take."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from shared.schema import Closed
from web.requests import Description


class RollbackQuery(Closed):
    """Where the alias points as far as the client knows."""

    expected_version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


# A card is one page.
CardText = Annotated[str, StringConstraints(max_length=4000)]


class ModelChange(Closed):
    """What the cards of a model say of it; what is left out or null stays as it is, an empty text is none."""

    description: CardText | None = None
    intended_use: CardText | None = None
    limits: CardText | None = None
    licence: Description | None = None


class CardQuery(Closed):
    """In which form a card is wanted, whatever the header Accept says."""

    format: Literal["json", "html", "markdown"] | None = None


class CompareQuery(Closed):
    """From two to ten versions of one model, such as 2,3."""

    versions: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8}){1,9}$")]

    @field_validator("versions")
    @classmethod
    def _are_different(cls, versions: str) -> str:
        numbers = versions.split(",")
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"expected versions that differ, received {versions}")
        return versions

    @property
    def numbers(self) -> list[int]:
        return [int(number) for number in self.versions.split(",")]


class SignedManifest(Closed):
    """The text of a manifest, byte for byte, and what stands in manifest.sig."""

    manifest: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
