"""What the registry answers, for the OpenAPI document: cards, moves of aliases, comparisons, signatures."""

from typing import Any

from pydantic import Field

from web.rights_schemas import Rights
from web.schemas import Json, Open, Version


class Move(Open):
    """A move of an alias; `how` is moved, promoted or rolled_back, null of moves from before it was kept."""

    move: int
    at: str
    version: int
    # Null the first time.
    from_: int | None = Field(alias="from")
    how: str | None
    key: str | None
    job: str | None
    reason: str | None
    gate: Json | None


class MoveList(Open):
    data: list[Move]
    next_cursor: str | None


class Alias(Open):
    alias: str
    version: int
    reference: str
    last: Move


class AliasList(Open):
    data: list[Alias]


class RolledBack(Version):
    alias: str
    rolled_back_from: int


class Card(Open):
    card: int
    model: str
    version: int
    reference: str
    kind: str
    created_at: str
    description: str | None
    intended_use: str | None
    limits: str | None
    licence: str | None
    job: str | None
    data: Json
    params: Json
    architecture: Json
    # Epochs, the best of them, what ended it, and the losses of at most a hundred; null where none were kept.
    training: Json | None
    metrics: Json
    baselines: Json
    calibration: Json | None
    leakage: Json
    warnings: list[Json]
    # As they are now: the most restrictive of all that it is made of.
    rights: Rights
    erased_data: list[Json]
    importance: list[Json] | Json | None
    # How it was chosen among others; null of a version that no search has made.
    search: Json | None
    base_weights: list[Json]
    cost: Json | None
    reproduce: Json
    champion: Json | None
    moves: dict[str, list[Json]]
    not_measured: list[str]


class ComparedVersion(Open):
    version: int
    reference: str
    created_at: str
    aliases: list[str]
    parameters: int
    dataset: Json
    cost: Json | None


class ComparedMetric(Open):
    part: str
    metric: str
    # higher, lower, or null where neither is better.
    better: str | None
    values: list[Json]
    best: int | None


class Compared(Open):
    model: str
    kind: str
    versions: list[ComparedVersion]
    on_same_rows: bool
    metrics: list[ComparedMetric]
    # By place the value of each version, in the order of `versions`; only what differs.
    params: dict[str, list[Any]]
    data: dict[str, list[Any]]
    code: dict[str, list[Any]]


class Verified(Open):
    is_ours: bool
