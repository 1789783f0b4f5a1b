"""Claims a job, has its action carried out, and writes its end by the kind of error that came out, or none."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import structlog
from sqlalchemy import Connection

from shared import chunks, claims, datasets, restarts, studies, tariff, workers
from shared import queue as rings
from shared.claims import Claim
from shared.errors import (
    ClaimLost,
    Drained,
    JobCancelled,
    JobFailed,
    NotFound,
    RequestRefused,
    Stalled,
    TryAgain,
    Unavailable,
)
from shared.log import logger
from worker import alike, disk, leftovers, tracing
from worker.desk import Desk, erased
from worker.ending import Ending
from worker.heart import Heart
from worker.post import ACTIONS, Post, skills

# How long an attempt that is done waits for a database that is away: beyond any restart, short of a lost one.
DATABASE_AWAY_AT_MOST_S = 900.0

# Loads TensorFlow, as the pipeline does.
HELPING = "worker.helping"

log = logger("runner")


def run(post: Post, queue: str, *, only_tenant: str | None) -> Claim | None:
    """Claim the best job of the queue and bring it to an end; None when there was none to claim."""
    claim = claim_next(post, queue, only_tenant=only_tenant)
    if claim is None:
        return None
    with structlog.contextvars.bound_contextvars(job=claim.job_id, attempt=claim.attempt, tenant=claim.tenant):
        _work(post, claim)
        tracing.tell(post, claim)
    return claim


def claim_next(post: Post, queue: str, *, only_tenant: str | None) -> Claim | None:
    """Claim, unless this worker is leaving."""
    with post.database.transaction() as sql:
        if workers.is_draining(sql, post.worker):
            return None
        return claims.claim_next(
            sql,
            queue,
            worker=post.worker,
            skills=skills(),
            lease_s=post.settings.lease_s,
            only_tenant=only_tenant,
            running_at_most=post.settings.tenant_running,
        )


def count_due(post: Post, queue: str) -> int:
    """How many jobs of the queue this worker could claim."""
    with post.database.reading() as sql:
        return claims.count_due(sql, queue, skills=skills(), running_at_most=post.settings.tenant_running)


def waits_another(post: Post, queue: str, tenant: str) -> bool:
    """Whether this worker could claim a job of another tenant, or help with one."""
    known, running_at_most = skills(), post.settings.tenant_running
    with post.database.reading() as sql:
        return claims.has_anothers(sql, queue, tenant, skills=known, running_at_most=running_at_most) or (
            queue == rings.TRAIN and chunks.has_anothers(sql, tenant, known)
        )


def help_out(post: Post, *, only_tenant: str | None) -> Claim | None:
    """Help with the chunks of a running job; returns a guest's claim of it, or None when nobody needs help."""
    with post.database.transaction() as sql:
        if workers.is_draining(sql, post.worker):
            return None
        claim = chunks.find_helpable(
            sql, worker=post.worker, skills=skills(), lease_s=post.settings.lease_s, only_tenant=only_tenant
        )
        chunk = None if claim is None else chunks.take(sql, claim, lease_s=post.settings.lease_s)
    if claim is None or chunk is None:
        return None
    with structlog.contextvars.bound_contextvars(job=claim.job_id, attempt=claim.attempt, tenant=claim.tenant):
        import_module(HELPING).help_out(post, claim, chunk)
    return claim


def count_helpable(post: Post) -> int:
    """How many chunks wait for a worker like this one."""
    with post.database.reading() as sql:
        return chunks.count_helpable(sql, skills())


def _work(post: Post, claim: Claim) -> None:
    chosen = post.settings
    # From here on one tenant's rows are there for it, and no other's.
    mine = post.database.of(claim.tenant)
    heart = Heart(mine, claim, beat_s=chosen.beat_s, stall_s=chosen.stall_s, tariff=tariff.of(chosen))
    scratch = post.scratch / f"job-{claim.job_id}-{claim.fence}"
    desk = Desk(post.settings, mine, post.storage, claim, heart, scratch, ring=post.ring)
    alike.begin(claim)
    heart.start()
    try:
        _carry_out(desk)
        _let_go_of_uploads(desk)
    except ClaimLost as lost:
        log.warning("claim_lost", detail=lost.detail)
        _let_go(desk)
    finally:
        heart.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _let_go(desk: Desk) -> None:
    """An erasure may wait for that; where the database is away it takes the silence for it."""
    with suppress(Unavailable), desk.database.transaction() as sql:
        restarts.let_go(sql, desk.claim.tenant, desk.claim.job_id, desk.claim.fence)


def _let_go_of_uploads(desk: Desk) -> None:
    """Plays that have been read, or never will be, lie nowhere any longer; what is left the sweep deletes."""
    if desk.claim.action == "ingest":
        with suppress(Unavailable):
            leftovers.delete(desk.database, desk.storage, desk.claim.tenant, desk.claim.job_id)


def _carry_out(desk: Desk) -> None:
    claim, cost = desk.claim, desk.heart.cost
    try:
        desk.make_scratch()
        ending = _find(claim.action)(desk)
        _persist(desk, lambda sql: _succeed(sql, desk, ending))
    except ClaimLost:
        raise
    except JobCancelled:
        _persist(desk, lambda sql: claims.finish_cancelled(sql, claim, cost=cost()))
    except Drained:
        _persist(desk, lambda sql: claims.release(sql, claim, cost=cost()))
    except Stalled as stalled:
        stall = stalled
        _persist(desk, lambda sql: claims.stall(sql, claim, stall, cost=cost()))
    except (TryAgain, Unavailable) as passing:
        error = passing
        _persist(desk, lambda sql: _try_again(sql, desk, error))
    except NotFound:
        _persist(desk, lambda sql: _fail(sql, desk, _gone(sql, desk)))
    except (JobFailed, RequestRefused) as failed:
        failure = failed
        _persist(desk, lambda sql: _fail(sql, desk, failure))
    except Exception as unforeseen:
        _end_unforeseen(desk, unforeseen)


def _end_unforeseen(desk: Desk, cause: Exception) -> None:
    if disk.is_full(cause):
        return _persist(desk, lambda sql: claims.try_again(sql, desk.claim, disk.full(), cost=desk.heart.cost()))
    # Whatever was not foreseen is our fault, not the client's: the trace goes to the log, an id to the client.
    log.exception("internal", exc_info=cause)
    said = f"Something went wrong on our side; the operator's log has it under {desk.claim.job_id}."
    return _persist(desk, lambda sql: _fail(sql, desk, JobFailed(said, code="internal")))


def _find(action: str) -> Callable[[Desk], Ending]:
    found: Callable[[Desk], Ending] = getattr(import_module(ACTIONS[action]), action)
    return found


def _succeed(sql: Connection, desk: Desk, ending: Ending) -> None:
    if any(datasets.is_erased(sql, dataset) for dataset in desk.claim.datasets):
        raise erased()
    # First, or an attempt that was given up would stumble over what its successor has published.
    claims.hold(sql, desk.claim)
    if ending.is_parked:
        return _park(sql, desk)
    result = ending.record(sql)
    if desk.heart.is_enough or ending.is_partial:
        return claims.finish_cancelled(sql, desk.claim, cost=desk.heart.cost(), result=result, files=ending.files)
    return claims.succeed(sql, desk.claim, result=result, cost=desk.heart.cost(), files=ending.files)


def _park(sql: Connection, desk: Desk) -> None:
    total = len(studies.list_trials(sql, desk.claim.job_id))
    progress = desk.pace.progress(0, total, unit="trials")
    claims.park(sql, desk.claim, progress=progress, cost=desk.heart.cost())
    # The last of them may have ended while the search was still being held.
    studies.settle(sql, desk.claim.job_id)


def _gone(sql: Connection, desk: Desk) -> JobFailed:
    """What of a job is not there any more that was there when it was accepted."""
    if any(datasets.is_erased(sql, dataset) for dataset in desk.claim.datasets):
        return erased()
    return JobFailed("The model was deleted while the job waited or ran: score with another.", code="model_deleted")


def _fail(sql: Connection, desk: Desk, error: JobFailed | RequestRefused) -> None:
    claims.fail(sql, desk.claim, error, cost=desk.heart.cost())
    if desk.claim.action == "ingest":
        datasets.settle(sql)


def _try_again(sql: Connection, desk: Desk, error: TryAgain | Unavailable) -> None:
    claims.try_again(sql, desk.claim, error, cost=desk.heart.cost())
    if error.code == "dataset_changed":
        # What it would go on from was learned from what is gone.
        restarts.forget(sql, desk.claim.job_id)


def _persist(desk: Desk, write: Callable[[Connection], None]) -> None:
    """Write the end, and the metrics that no beat has taken.

    While the database is away, wait for it: hours of training are worth some minutes.
    """
    until = time.monotonic() + DATABASE_AWAY_AT_MOST_S
    while True:
        try:
            with desk.heart.still(), desk.database.transaction() as sql:
                desk.heart.flush(sql)
                write(sql)
                if desk.claim.parent is not None:
                    studies.settle(sql, desk.claim.parent)
                return None
        except Unavailable:
            if time.monotonic() > until:
                raise
            log.warning("waiting_for_the_database")
            time.sleep(1.0)
