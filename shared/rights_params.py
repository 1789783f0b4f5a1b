"""What a client may say of rights, as JSON: a closed schema for a new dataset and for an entry of the ledger."""

from datetime import MAXYEAR, UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared import licences
from shared.schema import Closed

# SPDX ids are of these signs; so are our words.
LICENCE_SIGNS = r"^[A-Za-z0-9][A-Za-z0-9.+-]*$"
Licence = Annotated[
    str,
    StringConstraints(min_length=1, max_length=licences.LICENCE_CHARACTERS, pattern=LICENCE_SIGNS),
    AfterValidator(licences.name),
]


def _is_plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable text without control characters")
    return text


# As long as the columns of SQL.
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), AfterValidator(_is_plain)
]
TrackKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Commercial = Literal["yes", "no", "unknown"]

Json = dict[str, Any]


def _read(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        # Such a one cannot be told again, in UTC and to the millisecond.
        if moment.tzinfo is None or moment.astimezone(UTC).year == MAXYEAR:
            raise ValueError("no zone, or no year of ours")
    except (ValueError, OverflowError) as cause:
        raise ValueError(f"expected a moment such as 2027-11-24T12:00:00Z, received {text!r}") from cause
    return text


Moment = Annotated[str, StringConstraints(max_length=40), AfterValidator(_read)]


class Consent(Closed):
    """Whether it may be learned from, by what (a contract's number, a form), and until when."""

    training: Literal["granted", "refused", "unknown"]
    basis: Words | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _ends_only_if_granted(self) -> "Consent":
        if self.until is not None and self.training != "granted":
            raise ValueError(f"expected no until beside training: {self.training}; only a consent that is granted ends")
        return self


class Rights(Closed):
    """On what terms a dataset may be used: an SPDX id, or own, licensed, all-rights-reserved, public-domain.

    `commercial` follows from a licence that is known, and may not contradict it.
    """

    licence: Licence | None = None
    commercial: Commercial | None = None
    consent: Consent | None = None
    holder: Words | None = None
    source: Words | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Rights":
        if not self.said:
            raise ValueError("expected licence, commercial, consent, holder or source, received none of them")
        if licences.contradicts(self.licence, self.commercial):
            known = licences.commercial(self.licence)
            raise ValueError(f"expected commercial {known}, as {self.licence} says, received {self.commercial}")
        return self

    @property
    def said(self) -> Json:
        """What it says, by the columns of the ledger."""
        named = {name: getattr(self, name) for name in ("licence", "commercial", "holder", "source")}
        found = {name: value for name, value in named.items() if value is not None}
        if self.consent is None:
            return found
        until = None if self.consent.until is None else datetime.fromisoformat(self.consent.until).timestamp()
        return {
            **found, "consent": self.consent.training, "consent_basis": self.consent.basis, "consent_until": until,
        }  # fmt: skip


class NewEntry(Rights):
    """The next entry of the ledger: what it leaves out stays; `track` is the key of the one row that it is about."""

    track: TrackKey | None = None
    reason: Words | None = Field(default=None)
