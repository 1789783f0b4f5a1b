"""What happened to a job: its attempts and its events, written inside the transactions that make them true."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from shared.database import now
from shared.tables import attempts, events

Json = dict[str, Any]


def note(sql: Connection, job_id: str, type_: str, data: Mapping[str, Any]) -> None:
    """Append an event; the caller holds the job's row, so the numbers have no gap and no double."""
    seq = select(func.coalesce(func.max(events.c.seq), 0) + 1).where(events.c.job == job_id).scalar_subquery()
    sql.execute(insert(events).values(job=job_id, seq=seq, at=now(), type=type_, data=dict(data)))


def close_attempt(sql: Connection, job_id: str, fence: int, *, outcome: str, error: Json | None) -> None:
    """Say how an attempt ended; one that has ended stays as it is."""
    sql.execute(
        update(attempts)
        .where(attempts.c.job == job_id, attempts.c.fence == fence, attempts.c.ended_at.is_(None))
        .values(ended_at=now(), outcome=outcome, error=error)
    )
