"""What the calls about rights answer, for the OpenAPI document."""

from web.schemas import Json, Open


class LicenceSaid(Open):
    licence: str
    is_known: bool
    commercial: str
    # As the licence says; null where it is not known here, or does not say.
    derivatives: bool | None
    attribution: bool | None
    share_alike: bool | None
    source: str | None


class RightsInput(Open):
    """One thing that went in: a dataset that was learned from or scored, or weights of others."""

    what: str
    id: str | None
    reference: str
    licences: list[LicenceSaid]
    commercial: str
    consent: str | None
    holder: str | None
    source: str | None
    # Of a training: rows that were kept out of it, for consent to learn from them was refused.
    withheld_rows: int | None
    marks: list[str]


class Rights(Open):
    """The most restrictive of all inputs."""

    commercial: str
    consent: str | None
    licences: list[LicenceSaid]
    attributions: list[Json]
    marks: list[str]
    inputs: list[RightsInput]


class RightsEntry(Open):
    number: int
    at: str
    key: str | None
    track: str | None
    licence: str | None
    commercial: str | None
    consent: Json | None
    holder: str | None
    source: str | None
    reason: str | None


class _Current(Open):
    dataset: str
    reference: str
    rights: Rights
    # Rows of which entries say something else, by their keys.
    tracks: dict[str, Json]


class Ledger(_Current):
    data: list[RightsEntry]
    next_cursor: str | None


class AffectedVersion(Open):
    model: str
    aliases: list[str]
    commercial: str
    consent: str | None
    marks: list[str]


class Entered(_Current):
    entry: RightsEntry
    models: list[AffectedVersion]
    what_to_do: str | None
