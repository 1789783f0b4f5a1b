"""Versions that compose, opened: the last ones stay open, with what they learned from, for the next job of theirs."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from shared import datasets, models
from shared.errors import NotFound
from worker.desk import Desk
from worker.kinds.generation import data, metrics
from worker.kinds.generation.compose import Composer
from worker.kinds.generation.data import Coding, Item
from worker.sequences import artifacts
from worker.sequences.artifacts import SequenceModel
from worker.symbolic.copies import Corpus

# Each is some megabytes of weights, and 200 bytes for every onset that was learned from.
KEPT = 2


@dataclass(frozen=True)
class Opened:
    """A version ready to compose, and its training set to be searched; None when that was erased."""

    version: Row[Any]
    composer: Composer
    known: Corpus | None


_kept: OrderedDict[str, tuple[Composer, Corpus | None]] = OrderedDict()


def open(desk: Desk) -> Opened:
    """The job's version. Raises NotFound when it was deleted."""
    version = version_of(desk)
    kept = _kept.pop(version.id, None)
    if kept is None:
        composer = Composer.of(unpack(desk, version))
        items = trained_on(desk, version, composer.coding)
        kept = composer, None if items is None else metrics.corpus(items)
    composer, known = kept
    if known is not None and _dataset_of(desk, version) is None:
        known = None
    _kept[version.id] = composer, known
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return Opened(version, composer, known)


def version_of(desk: Desk) -> Row[Any]:
    """The version that the job was given when it was accepted."""
    with desk.database.reading() as sql:
        return models.find_by_id(sql, desk.claim.version or "")


def unpack(desk: Desk, version: Row[Any]) -> SequenceModel:
    """A version's model out of its stored files."""
    return artifacts.unpack({file["name"]: desk.get(file["key"], sha256=file["sha256"]) for file in version.files})


def trained_on(desk: Desk, version: Row[Any], coding: Coding) -> list[Item] | None:
    """The pieces that a version was trained on; None when they were erased."""
    row = _dataset_of(desk, version)
    if row is None:
        return None
    items, _ = data.items_known(data.load(desk.fetch_parts(row)), coding)
    held_out = set(version.lineage["split"]["held_out"])
    return [item for item in items if item.name not in held_out and item.part in (None, "train")]


def unknown() -> dict[str, str]:
    """A warning that a training set is not there to be searched."""
    said = "The training set is not there any more: what was copied from it cannot be told."
    return {"code": "copies_unknown", "detail": said}


def _dataset_of(desk: Desk, version: Row[Any]) -> Row[Any] | None:
    try:
        with desk.database.reading() as sql:
            return datasets.find(sql, desk.claim.tenant, version.lineage["dataset"]["id"])
    except NotFound:
        return None
