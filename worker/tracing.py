"""Tells a collector of an attempt that is over, by what SQL has of it: its beginning, its stages, its end."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from shared import traces
from shared.claims import Claim
from shared.errors import Unavailable
from shared.jobs import ENDED, FAILED
from shared.log import logger
from shared.tables import attempts, events
from shared.tables import jobs as job_table
from shared.traces import Span
from worker.post import Post

SUCCEEDED = "succeeded"

log = logger("tracing")


def tell(post: Post, claim: Claim) -> None:
    """Tell of the attempt of a claim, and with the last one of the job; what cannot be told is no reason to fail."""
    if not post.settings.traces_url:
        return
    try:
        with post.database.of(claim.tenant).reading() as sql:
            mine = (attempts.c.job == claim.job_id) & (attempts.c.fence == claim.fence)
            attempt = sql.execute(select(attempts).where(mine)).one_or_none()
            job = sql.execute(select(job_table).where(job_table.c.id == claim.job_id)).one_or_none()
            entered = (events.c.job == claim.job_id) & events.c.type.in_(("state", "stage"))
            rows = sql.execute(select(events).where(entered).order_by(events.c.seq)).all()
    except Unavailable as away:
        log.warning("not_traced", reason=away.code)
        return
    if attempt is None or job is None or attempt.ended_at is None:
        # Deleted, or another's by now.
        return
    began, ended = attempt.started_at, attempt.ended_at
    said = {"etude.attempt": attempt.number, "etude.worker": attempt.worker, "etude.outcome": attempt.outcome}
    has_failed = attempt.outcome not in (SUCCEEDED, "parked", "drained")
    told = Span("attempt", began, ended, {**_names(job), **said}, has_failed=has_failed)
    traces.tell_attempt(post.settings, job.id, told, _stages(rows, began, ended), _whole(job))


def _names(job: Row[Any]) -> dict[str, str | int]:
    found = {"etude.job": job.id, "etude.action": job.action, "etude.kind": job.kind, "etude.tenant": job.tenant}
    return {name: value for name, value in found.items() if value is not None}


def _stages(rows: Sequence[Row[Any]], began: float, ended: float) -> list[Span]:
    """From where one was entered to where the next was."""
    entered = [(row.at, row.data["stage"]) for row in rows if row.data.get("stage") and began <= row.at <= ended]
    ends = [at for at, _ in entered[1:]] + [ended]
    return [Span(stage, at, end, {"etude.stage": stage}) for (at, stage), end in zip(entered, ends, strict=True)]


def _whole(job: Row[Any]) -> Span | None:
    if job.state not in ENDED:
        return None
    said = {**_names(job), "etude.state": job.state, "etude.queue": job.queue}
    return Span(f"{job.action} job", job.created_at, job.ended_at, said, has_failed=job.state == FAILED)
