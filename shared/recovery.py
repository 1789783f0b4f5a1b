"""What the scheduler's tick says in SQL: which attempts are lost, which jobs are too late, what is waiting.

Every statement is a compare-and-set, so any number of schedulers may say it at once.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from shared import apart, chunks, history, restarts
from shared.claims import LOSSES_AT_MOST
from shared.database import now
from shared.errors import EtudeError, WorkerLost
from shared.jobs import CANCELLED, FAILED, QUEUED, RUNNING
from shared.tables import jobs as table

# A tick that finds more than this is a storm; the next tick, a moment later, goes on.
REAPED_AT_ONCE = 500

SILENT = WorkerLost("The worker gave no sign of life within its lease.")
GONE = WorkerLost("The worker process ended while it worked on the job.")
OUT_OF_MEMORY = WorkerLost(
    "The system ended the worker because it was out of memory: use a smaller network, batch or dataset, or give the "
    "worker more memory.",
    code="oom",
)


def reap(sql: Connection) -> list[str]:
    """Requeue the attempts whose lease has run out, and open such chunks again; returns the queues to ring."""
    chunks.reap(sql, SILENT)
    restarts.close_silent(sql)
    is_expired = table.c.lease_until < now()
    silent = sql.execute(select(table).where(table.c.state == RUNNING, is_expired).limit(REAPED_AT_ONCE)).all()
    # Asked again in the update: the worker may have beaten since the rows were read.
    return _requeue(sql, silent, SILENT, still=is_expired)


def lose(sql: Connection, worker: str, *, cause: EtudeError = GONE) -> list[str]:
    """Requeue what a worker held that is known to be gone; returns the queues to ring."""
    chunks.lose(sql, worker, cause)
    held = sql.execute(select(table).where(table.c.state == RUNNING, table.c.lease_owner == worker)).all()
    return _requeue(sql, held, cause, still=table.c.lease_owner == worker)


def expire(sql: Connection) -> int:
    """Fail the waiting jobs whose deadline has passed; a running one is told by its own worker."""
    waiting = select(table.c.tenant, table.c.id).where(table.c.state == QUEUED, table.c.deadline_at < now())
    late = sql.execute(waiting.limit(REAPED_AT_ONCE)).all()
    return sum(apart.each(sql, late, lambda row: _expire(sql, row.tenant, row.id)))


def cancel_left_over(sql: Connection) -> int:
    """End the jobs that came back to the queue, lost or drained, after the client had asked for their end."""
    unwanted = (table.c.state == QUEUED) & table.c.cancel_requested_at.is_not(None)
    change = {"state": CANCELLED, "ended_at": now(), "revision": table.c.revision + 1}
    ended = sql.execute(update(table).where(unwanted).values(change).returning(table.c.tenant, table.c.id)).all()
    apart.each(sql, ended, lambda row: history.note(sql, row.tenant, row.id, "state", {"state": CANCELLED}))
    return len(ended)


def _expire(sql: Connection, tenant: str, job_id: str) -> bool:
    error = {
        "title": "The job failed", "code": "deadline_passed", "retryable": True,
        "detail": "The deadline passed while the job waited: allow more time, or add workers.",
    }  # fmt: skip
    taken = sql.execute(
        update(table)
        .where(table.c.tenant == tenant, table.c.id == job_id)
        .where(table.c.state == QUEUED, table.c.deadline_at < now())
        .values(state=FAILED, ended_at=now(), error=error, revision=table.c.revision + 1)
    )
    if taken.rowcount == 1:
        history.note(sql, tenant, job_id, "state", {"state": FAILED, "reason": "deadline_passed"})
    return taken.rowcount == 1


def _requeue(sql: Connection, rows: Sequence[Row[Any]], cause: EtudeError, *, still: ColumnElement[bool]) -> list[str]:
    lost = apart.each(sql, rows, lambda row: row.queue if requeue_lost(sql, row, cause, still=still) else None)
    return [queue for queue in lost if queue is not None]


def requeue_lost(sql: Connection, row: Row[Any], cause: EtudeError, *, still: ColumnElement[bool]) -> bool:
    """End the running attempt of `row` as lost: back to the queue, or failed after LOSSES_AT_MOST without progress.

    Compare-and-set on the fence, so any number of reapers do it once. Returns whether this one did.
    """
    losses = row.losses + 1
    error = cause.as_json()
    is_over = losses >= LOSSES_AT_MOST
    change: dict[str, Any] = {"state": FAILED, "ended_at": now(), "error": error} if is_over else {"state": QUEUED}
    taken = sql.execute(
        update(table)
        .where(table.c.tenant == row.tenant, table.c.id == row.id)
        .where(table.c.fence == row.fence, table.c.state == RUNNING, still)
        .values(
            fence=table.c.fence + 1,
            losses=losses,
            lease_owner=None,
            lease_until=None,
            stage=None,
            revision=table.c.revision + 1,
            **change,
        )
    )
    if taken.rowcount == 0:
        return False
    history.close_attempt(sql, row.tenant, row.id, row.fence, outcome="lost", error=error)
    history.note(sql, row.tenant, row.id, "state", {"state": change["state"], "reason": cause.code, "outcome": "lost"})
    return True
