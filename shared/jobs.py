"""What a client asks of jobs: submit, cancel, retry. The row is the job; what a worker writes is in shared/claims.py.

Each function is called inside one transaction.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Row,
    bindparam,
    func,
    insert,
    select,
    update,
)

from shared import history, ids
from shared.database import now
from shared.errors import EtudeError, NotAllowedNow, NotFound
from shared.tables import job_labels, jobs

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "queued", "running", "succeeded", "failed", "cancelled"
ENDED = (SUCCEEDED, FAILED, CANCELLED)
# Who holds a search while its trials run: no worker.
PARKED = "its trials"
# What the column of this name is a hash of.
FINGERPRINT = "jobs.fingerprint"

# A short job may overtake a long one that came before it, but only one that came less than this before it.
PATIENCE_S = 900.0

Json = dict[str, Any]


@dataclass(frozen=True)
class NewJob:
    """What a client asked for, checked."""

    tenant: str
    action: str
    queue: str
    kind: str | None = None
    datasets: list[str] = field(default_factory=list)
    model: str | None = None
    version: str | None = None
    schedule: str | None = None
    parent: str | None = None
    params: Json = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    budget: Json = field(default_factory=dict)
    promote: Json | None = None
    priority: int = 0
    deadline_s: float | None = None
    expected_s: float = 1.0
    estimate: Json | None = None
    fingerprint: str | None = None
    code: str | None = None


# Built once: putting a statement together costs as much as running it.
_SUBMIT = (
    insert(jobs)
    .values(
        {
            name: bindparam(name)
            for name in ("id", "tenant", "action", "kind", "queue", "priority", "datasets", "model", "version",
                         "schedule", "parent", "params", "labels", "budget", "promote", "expected_s", "estimate",
                         "fingerprint", "code")
        }
    )
    .values(
        state=QUEUED, attempt=0, fence=0, losses=0, tries=0, revision=0, run_after=now(), created_at=now(),
        deadline_at=now() + bindparam("deadline_s", type_=Double),
        turn_at=now() + bindparam("handicap_s", type_=Double),
    )
    .returning(jobs)
)  # fmt: skip


def submit(sql: Connection, new: NewJob) -> Row[Any]:
    """Write the row and return it: from its commit on the job exists."""
    # There may be hundreds of trials: what else its tenant asks for goes before them.
    handicap_s = PATIENCE_S if new.parent is not None else min(new.expected_s, PATIENCE_S)
    row = sql.execute(_SUBMIT, {**vars(new), "id": ids.new("job"), "handicap_s": handicap_s}).one()
    if new.labels:
        rows = [
            {"tenant": row.tenant, "job": row.id, "name": name, "value": value} for name, value in new.labels.items()
        ]
        sql.execute(insert(job_labels), rows)
    history.note(sql, row.tenant, row.id, "state", {"state": QUEUED})
    return row


def cancel(sql: Connection, tenant: str, job_id: str, *, keep: str | None = None) -> None:
    """Ask for the end of a job: at once while it waits, at its next beat while it runs."""
    mine = (jobs.c.id == job_id) & (jobs.c.tenant == tenant)
    taken = sql.execute(
        update(jobs)
        .where(mine, jobs.c.state == QUEUED)
        .values(state=CANCELLED, ended_at=now(), cancel_requested_at=now(), revision=jobs.c.revision + 1)
    )
    if taken.rowcount == 1:
        return history.note(sql, tenant, job_id, "state", {"state": CANCELLED})
    asked = sql.execute(
        update(jobs)
        .where(mine, jobs.c.state == RUNNING)
        .values(
            cancel_requested_at=func.coalesce(jobs.c.cancel_requested_at, now()),
            keep=keep,
            revision=jobs.c.revision + 1,
        )
    )
    if asked.rowcount == 1:
        return history.note(sql, tenant, job_id, "cancel_requested", {"keep": keep})
    raise _why_not(sql, tenant, job_id, "cancelled")


def retry(sql: Connection, tenant: str, job_id: str) -> str:
    """Run a failed job again under the same id; returns its queue, to ring."""
    row = sql.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.tenant == tenant, jobs.c.state == FAILED)
        .values(
            state=QUEUED,
            stage=None,
            error=None,
            ended_at=None,
            losses=0,
            tries=0,
            run_after=now(),
            turn_at=now(),
            cancel_requested_at=None,
            deadline_at=None,
            revision=jobs.c.revision + 1,
        )
        .returning(jobs.c.queue)
    ).one_or_none()
    if row is None:
        raise _why_not(sql, tenant, job_id, "retried")
    history.note(sql, tenant, job_id, "state", {"state": QUEUED})
    return str(row.queue)


def _why_not(sql: Connection, tenant: str, job_id: str, verb: str) -> EtudeError:
    state = sql.execute(select(jobs.c.state).where(jobs.c.id == job_id, jobs.c.tenant == tenant)).scalar()
    if state is None:
        return NotFound("There is no such job.")
    return NotAllowedNow(f"A job that is {state} cannot be {verb}.", code=f"job_{state}")
