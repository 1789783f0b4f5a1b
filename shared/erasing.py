"""What of a listener's events is where: all ready versions of a dataset's name, changed at once or not at all."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from shared import datasets
from shared.datasets import INGESTING, INTERACTIONS, OPEN, READY, REJECTED
from shared.jobs import RUNNING
from shared.tables import dataset_files
from shared.tables import datasets as table

LEARNS = ("train", "tune")
PREDICTS = ("score", "generate")

Json = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A version that has lost events: the row as it was read, and what takes its place."""

    was: Row[Any]
    parts: list[Json]
    profile: Json
    sha256: str
    events: int


@dataclass(frozen=True)
class Uses:
    """What was made of datasets: versions of models, scorings, and the jobs that read them at this moment."""

    models: list[Row[Any]]  # name, number, job, lineage
    predictions: list[str]
    under_way: list[str]
    # Of each model its newest version, if it is one of `models`.
    to_train: list[Row[Any]]


def versions(sql: Connection, tenant: str, name: str, *states: str) -> list[Row[Any]]:
    """The versions of interactions under a name in these states, the oldest first."""
    mine = (table.c.tenant == tenant) & (table.c.name == name) & (table.c.format == INTERACTIONS)
    return list(sql.execute(select(table).where(mine, table.c.state.in_(states)).order_by(table.c.version)).all())


def pending(sql: Connection, tenant: str, name: str) -> list[str]:
    """The versions whose uploads may hold anybody's events: unread ones, and rejected ones until they are swept."""
    found = versions(sql, tenant, name, OPEN, INGESTING, REJECTED)
    chosen = select(dataset_files.c.dataset).where(dataset_files.c.dataset.in_([row.id for row in found]))
    has_files = set(sql.execute(chosen.distinct()).scalars())
    return [f"{row.name}@{row.version}" for row in found if row.state != REJECTED or row.id in has_files]


def publish(sql: Connection, tenant: str, name: str, read: Sequence[Row[Any]], changes: Sequence[Change]) -> None:
    """Put all changes in place, in the transaction that ends the erasure.

    Raises TryAgain when a version is not what was read any more, or when another has become ready since.
    """
    for change in changes:
        _replace(sql, change)
    # Asked once the rows are held: whoever builds on one of them now waits, and will find it changed.
    new = [row for row in versions(sql, tenant, name, READY) if row.id not in {each.id for each in read}]
    if new:
        raise datasets.changed(new[0])


def _replace(sql: Connection, change: Change) -> None:
    values = {
        "parts": change.parts, "profile": change.profile, "sha256": change.sha256, "rows": change.profile["rows"],
        "size_bytes": sum(part["size_bytes"] for part in change.parts),
    }  # fmt: skip
    is_as_read = (table.c.id == change.was.id) & (table.c.state == READY) & (table.c.sha256 == change.was.sha256)
    if sql.execute(update(table).where(is_as_read).values(values)).rowcount == 0:
        raise datasets.changed(change.was)


def uses(sql: Connection, tenant: str, name: str, *, clean: Set[str]) -> Uses:
    """What jobs have made of any version of a name, also of one that is deleted, and make of them now.

    Without the models that have learned from one of the contents `clean` (sha256), in which nobody was to be erased:
    the others may have learned from what an earlier erasure has taken, or from what was deleted.
    """
    mine = (table.c.tenant == tenant) & (table.c.name == name) & (table.c.format == INTERACTIONS)
    found = datasets.jobs_naming(sql, tenant, set(sql.execute(select(table.c.id).where(mine)).scalars()))
    made = datasets.made_by(sql, [job.id for job in found if job.action in LEARNS])
    models = [model for model in made if model.lineage.get("dataset", {}).get("sha256") not in clean]
    newest = {model.name: model.number for model in sorted(made, key=lambda model: model.number)}
    return Uses(
        models,
        [job.id for job in found if job.action in PREDICTS],
        [job.id for job in found if job.state == RUNNING and job.action in (*LEARNS, *PREDICTS)],
        [model for model in models if model.number == newest[model.name]],
    )
