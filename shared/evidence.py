"""All that SQL knows of a model version, for its card and for comparisons: who made it, of what, where it stood."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import alias_moves, builtin, carried_rights, job_list, models
from shared.tables import datasets, jobs

Json = dict[str, Any]
Found = Any  # a row, or what builtin makes like one


@dataclass(frozen=True)
class Evidence:
    """A version beside its model, its training, what that learned from, the moves of aliases, and the champion."""

    model: Found
    version: Found
    job: Row[Any] | None
    datasets: list[Row[Any]]
    moves: dict[str, list[Row[Any]]]
    champion: Row[Any] | None
    # As they are now (shared/carried_rights.py).
    rights: Json
    # The figures of each epoch of its training.
    epochs: list[Json] = field(default_factory=list)


def gather(sql: Connection, tenant: str, name: str, number: int) -> Evidence:
    """Everything about one version. Raises NotFound."""
    model, version = models.find(sql, tenant, name), models.find_version(sql, tenant, name, number)
    if builtin.is_builtin(name):
        return Evidence(model, version, None, [], {}, None, carried_rights.of_version(sql, version))
    job = trainings(sql, [version]).get(version.job)
    champion = models.at_alias(sql, tenant, name, models.CHAMPION)
    learned_from = _datasets(sql, tenant, [] if job is None else job.datasets)
    epochs = [] if job is None else job_list.list_epochs(sql, job.id)
    carried, moves = carried_rights.of_version(sql, version), alias_moves.of_model(sql, model.tenant, model.id)
    return Evidence(model, version, job, learned_from, moves, champion, carried, epochs)


def trainings(sql: Connection, versions: Sequence[Found]) -> dict[str, Row[Any]]:
    """The jobs that made these versions, by their ids."""
    made_by = [version.job for version in versions if version.job is not None]
    rows = sql.execute(select(jobs).where(jobs.c.id.in_(made_by))).all() if made_by else ()
    return {row.id: row for row in rows}


def rows_of(sql: Connection, tenant: str, versions: Sequence[Found]) -> dict[str, int]:
    """How many rows the datasets have that these versions learned from, by their ids; erased ones are absent."""
    wanted = {version.lineage.get("dataset", {}).get("id") for version in versions}
    found = _datasets(sql, tenant, [each for each in wanted if each])
    return {row.id: row.rows for row in found if row.rows is not None}


def _datasets(sql: Connection, tenant: str, wanted: Sequence[str]) -> list[Row[Any]]:
    if not wanted:
        return []
    chosen = select(datasets).where(datasets.c.tenant == tenant, datasets.c.id.in_(wanted))
    return sorted(sql.execute(chosen).all(), key=lambda row: wanted.index(row.id))
