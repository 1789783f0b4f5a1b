"""What answers at once, for the OpenAPI document: what is alike, and what is recommended."""

from web.schemas import Json, Open


class SimilarTrack(Open):
    track: str
    score: float
    columns: Json


class Similar(Open):
    data: list[SimilarTrack]
    track: str
    dataset: str
    heard: int


class Reason(Open):
    because_of: str


class RecommendedItem(Open):
    item: str
    score: float
    reason: Reason | None


class UnknownLabel(Open):
    column: str
    label: str


class Recommended(Open):
    data: list[RecommendedItem]
    # history: by what was played; popularity: nothing is known of the listener, and the list is what most have played.
    basis: str
    # Whether the dataset has the listener.
    is_known: bool
    # Of the items that were sent, those that the model does not know.
    unknown_items: list[str]
    # Of the labels that filters name, those that no item has.
    unknown_labels: list[UnknownLabel]
    model: str
    dataset: str | None


class SimilarItem(Open):
    item: str
    score: float


class SimilarItems(Open):
    data: list[SimilarItem]
    item: str
    model: str


class UsageRow(Open):
    # A day (2026-01-31), a model, a label as name=value, a kind or a job's id, as was asked for.
    key: str
    jobs: int
    compute_s: float
    helped_s: float
    cpu_s: float
    gpu_s: float
    energy_wh: float | None
    money: float | None


class Usage(Open):
    data: list[UsageRow]
    by: str
    currency: str | None
    next_cursor: str | None
