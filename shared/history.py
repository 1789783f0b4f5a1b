"""What happened to a job: its attempts and its events, written inside the transactions that make them true."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from shared import webhooks
from shared.database import now
from shared.tables import attempts, events

Json = dict[str, Any]


# Built once: putting a statement together costs as much as running it.
_NEXT = select(func.coalesce(func.max(events.c.seq), 0) + 1).where(events.c.job == bindparam("job")).scalar_subquery()
_NOTE = insert(events).values(
    tenant=bindparam("whose"),
    job=bindparam("job"),
    seq=_NEXT,
    at=now(),
    type=bindparam("type"),
    data=bindparam("data"),
)
_CLOSE = (
    update(attempts)
    .where(
        attempts.c.tenant == bindparam("whose"),
        attempts.c.job == bindparam("of"),
        attempts.c.fence == bindparam("at"),
        attempts.c.ended_at.is_(None),
    )
    .values(ended_at=now(), outcome=bindparam("outcome"), error=bindparam("error"))
)


def note(sql: Connection, tenant: str, job_id: str, type_: str, data: Mapping[str, Any]) -> None:
    """Append an event; the caller holds the job's row, so the numbers have no gap and no double.

    Every end of a job passes here, so it is here that webhooks are told of it.
    """
    sql.execute(_NOTE, {"whose": tenant, "job": job_id, "type": type_, "data": dict(data)})
    if type_ == "state" and data["state"] in webhooks.ENDS:
        webhooks.tell_end(sql, job_id, data["state"])


def close_attempt(sql: Connection, tenant: str, job_id: str, fence: int, *, outcome: str, error: Json | None) -> None:
    """Say how an attempt ended; one that has ended stays as it is."""
    sql.execute(_CLOSE, {"whose": tenant, "of": job_id, "at": fence, "outcome": outcome, "error": error})
