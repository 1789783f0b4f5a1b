"""Jobs as they are read: one with its attempts and timeline, pages of many, their events, metrics and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select

from shared.errors import NotFound
from shared.jobs import QUEUED
from shared.tables import attempts, epochs, events, job_labels, jobs, outputs


@dataclass(frozen=True)
class Whole:
    """A job with everything that its page shows."""

    job: Row[Any]
    attempts: list[Row[Any]]
    timeline: Sequence[Any]  # rows of (at, data)
    ahead: int


def find(sql: Connection, tenant: str, job_id: str) -> Row[Any]:
    """The bare row. Raises NotFound, alike for nobody's and somebody else's."""
    row = sql.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.tenant == tenant)).one_or_none()
    if row is None:
        raise NotFound("There is no such job.")
    return row


def whole(sql: Connection, row: Row[Any]) -> Whole:
    tried = select(attempts).where(attempts.c.job == row.id).order_by(attempts.c.fence)
    told = select(events.c.at, events.c.data).where(events.c.job == row.id, events.c.type.in_(("state", "stage")))
    return Whole(
        row,
        list(sql.execute(tried).all()),
        sql.execute(told.order_by(events.c.seq)).all(),
        _ahead(sql, row) if row.state == QUEUED else 0,
    )


def _ahead(sql: Connection, row: Row[Any]) -> int:
    is_better = (jobs.c.priority > row.priority) | ((jobs.c.priority == row.priority) & (jobs.c.id < row.id))
    waiting = select(func.count()).select_from(jobs).where(jobs.c.queue == row.queue, jobs.c.state == QUEUED, is_better)
    return int(sql.execute(waiting).scalar_one())


def page(
    sql: Connection,
    tenant: str,
    *,
    limit: int,
    before: str | None,
    equal: Mapping[str, str],
    labels: Mapping[str, str],
) -> list[Row[Any]]:
    """The newest first; `equal` names columns (state, kind, action, model) and `labels` a job's own labels."""
    chosen = select(jobs).where(jobs.c.tenant == tenant, *(jobs.c[name] == value for name, value in equal.items()))
    if before is not None:
        chosen = chosen.where(jobs.c.id < before)
    for name, value in labels.items():
        has = (job_labels.c.job == jobs.c.id) & (job_labels.c.name == name) & (job_labels.c.value == value)
        chosen = chosen.where(exists().where(has))
    return list(sql.execute(chosen.order_by(jobs.c.id.desc()).limit(limit)).all())


def list_events(sql: Connection, job_id: str, *, after: int, limit: int) -> list[Row[Any]]:
    """Events in the order in which they happened, from the one after `after`."""
    chosen = select(events).where(events.c.job == job_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    return list(sql.execute(chosen).all())


def list_epochs(sql: Connection, job_id: str) -> list[dict[str, Any]]:
    chosen = select(epochs.c.metrics).where(epochs.c.job == job_id).order_by(epochs.c.epoch)
    return list(sql.execute(chosen).scalars().all())


def find_output(sql: Connection, job_id: str, name: str) -> Row[Any] | None:
    return sql.execute(select(outputs).where(outputs.c.job == job_id, outputs.c.name == name)).one_or_none()
