"""What of a listener's events, or of a row, is where: all ready versions of a dataset's name, changed at once or not at
all.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from shared import datasets, features
from shared.datasets import AUDIO, INGESTING, INTERACTIONS, OPEN, READY, REJECTED, SYMBOLIC, TABLE
from shared.jobs import RUNNING
from shared.tables import dataset_files
from shared.tables import datasets as table
from shared.tables import jobs as job_table

LEARNS = ("train", "tune")
PREDICTS = ("score", "generate")
# The formats whose versions lose a listener, and those whose versions lose a row.
OF_LISTENERS, OF_ROWS = (INTERACTIONS,), (TABLE, AUDIO, SYMBOLIC)
# What an ingest has told of its dataset that may name single rows.
TOLD = ("rows", "audio", "symbolic", "warnings")

Json = dict[str, Any]


@dataclass(frozen=True)
class Uploads:
    """What becomes of the files that a version was made of, and which recordings it holds."""

    gone: list[Row[Any]]  # of dataset_files
    new: list[Json]  # name, key, size_bytes, sha256
    # They hold all rows, so that the version adds to no other any more.
    is_whole: bool
    # What is heard in each row, and what was heard in those that are gone; of audio alone.
    contents: list[str]
    forgotten: set[str]
    # Of the rows that are gone.
    keys: set[str]


@dataclass(frozen=True)
class Change:
    """A version that has lost events or rows: the row as it was read, and what takes its place."""

    was: Row[Any]
    parts: list[Json]
    profile: Json
    sha256: str
    lost: int
    # Of interactions none are kept.
    uploads: Uploads | None = None


@dataclass(frozen=True)
class Uses:
    """What was made of datasets: versions of models, scorings, and the jobs that read them at this moment."""

    models: list[Row[Any]]  # name, number, job, lineage
    predictions: list[str]
    under_way: list[str]
    # Of each model its newest version, if it is one of `models`.
    to_train: list[Row[Any]]


def versions(
    sql: Connection, tenant: str, name: str, *states: str, formats: Sequence[str] = OF_LISTENERS
) -> list[Row[Any]]:
    """The versions of these formats under a name in these states, the oldest first."""
    mine = (table.c.tenant == tenant) & (table.c.name == name) & table.c.format.in_(formats)
    return list(sql.execute(select(table).where(mine, table.c.state.in_(states)).order_by(table.c.version)).all())


def pending(sql: Connection, tenant: str, name: str, *, formats: Sequence[str] = OF_LISTENERS) -> list[str]:
    """The versions whose uploads may hold anybody's events: unread ones, and rejected ones until they are swept."""
    found = versions(sql, tenant, name, OPEN, INGESTING, REJECTED, formats=formats)
    chosen = select(dataset_files.c.dataset).where(dataset_files.c.dataset.in_([row.id for row in found]))
    has_files = set(sql.execute(chosen.distinct()).scalars())
    return [f"{row.name}@{row.version}" for row in found if row.state != REJECTED or row.id in has_files]


def publish(
    sql: Connection,
    tenant: str,
    name: str,
    read: Sequence[Row[Any]],
    changes: Sequence[Change],
    *,
    formats: Sequence[str] = OF_LISTENERS,
) -> None:
    """Put all changes in place, in the transaction that ends the erasure.

    Raises TryAgain when a version is not what was read any more, or when another has become ready since.
    """
    for change in changes:
        _replace(sql, change)
        if change.uploads is not None:
            _replace_uploads(sql, change.was, change.uploads)
    _retell(sql, tenant, {change.was.id: change.profile for change in changes if change.uploads is not None})
    # Asked once the rows are held: whoever builds on one of them now waits, and will find it changed.
    there = versions(sql, tenant, name, READY, formats=formats)
    new = [row for row in there if row.id not in {each.id for each in read}]
    if new:
        raise datasets.changed(new[0])


def _replace(sql: Connection, change: Change) -> None:
    values = {
        "parts": change.parts, "profile": change.profile, "sha256": change.sha256, "rows": change.profile["rows"],
        "size_bytes": sum(part["size_bytes"] for part in change.parts),
    }  # fmt: skip
    this = (table.c.tenant == change.was.tenant) & (table.c.id == change.was.id)
    is_as_read = this & (table.c.state == READY) & (table.c.sha256 == change.was.sha256)
    if sql.execute(update(table).where(is_as_read).values(values)).rowcount == 0:
        raise datasets.changed(change.was)


def _replace_uploads(sql: Connection, was: Row[Any], uploads: Uploads) -> None:
    names = [file.name for file in uploads.gone]
    sql.execute(delete(dataset_files).where(dataset_files.c.dataset == was.id, dataset_files.c.name.in_(names)))
    for file in uploads.new:
        datasets.name_file(sql, was.tenant, was.id, file)
    features.rename_tracks(sql, was.tenant, was.id, uploads.contents)
    if uploads.is_whole and was.base is not None:
        # What is said of the rights of the base's rows holds of these.
        alone = {"base": None, "copied_from": was.base}
        sql.execute(update(table).where(table.c.id == was.id).values(alone))


def _retell(sql: Connection, tenant: str, profiles: Mapping[str, Json]) -> None:
    """What the ingests of these datasets have told of them, as it is now."""
    for job in datasets.jobs_naming(sql, tenant, profiles.keys()):
        result = sql.execute(select(job_table.c.result).where(job_table.c.id == job.id)).scalar()
        if job.action != "ingest" or not result:
            continue
        now = {name: profiles[job.datasets[0]][name] for name in TOLD if name in result}
        told = {"result": {**result, **now}, "revision": job_table.c.revision + 1}
        sql.execute(update(job_table).where(job_table.c.id == job.id).values(told))


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
