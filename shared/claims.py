"""What a worker writes: claim, beat, checkpoint, succeed, fail, release.

Claiming raises the fence; every later write of the attempt says `id AND fence AND running`, so an attempt presumed dead
can write nothing. Each function is called inside one transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    Row,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from shared import apart, history, quotas
from shared.database import now
from shared.errors import ClaimLost, Damaged, EtudeError
from shared.jobs import CANCELLED, FAILED, PARKED, QUEUED, RUNNING, SUCCEEDED
from shared.log import logger
from shared.tables import attempts, epochs, jobs, outputs, tenants, workers

# Three losses without progress: the job kills its worker, and would go on doing so.
LOSSES_AT_MOST = 3
# A cause that passes has passed by then; the last error is the one the client sees.
TRIES_AT_MOST = 5
# A search is parked for as long as its trials take.
PARKED_S = 1e9
# A job whose tenant's keys are damaged: until then they may have been restored.
PUT_OFF_S = 300.0

Json = dict[str, Any]

log = logger("claims")


@dataclass(frozen=True)
class Claim:
    """The right to work on one attempt, and what the attempt needs to know."""

    job_id: str
    fence: int
    attempt: int
    tenant: str
    worker: str
    action: str
    kind: str | None
    datasets: list[str]
    model: str | None
    version: str | None
    params: Json
    budget: Json
    promote: Json | None
    checkpoint: Json | None
    # Of earlier attempts: by the job's own worker, and by those that have helped.
    compute_s: float
    helped_s: float
    deadline_in_s: float | None
    lease_s: float
    # Of a trial: the search that it belongs to.
    parent: str | None = None
    # Of earlier attempts, in full.
    cost: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What the answer to a beat asks of the worker."""

    cancel: bool
    keep: str | None
    drain: bool


def is_due(queue: str | ColumnElement[str]) -> ColumnElement[bool]:
    return (
        (jobs.c.queue == queue)
        & (jobs.c.state == QUEUED)
        & (jobs.c.run_after <= now())
        & jobs.c.cancel_requested_at.is_(None)
    )


_busy = (
    select(jobs.c.tenant, func.count().label("running"))
    .where(jobs.c.state == RUNNING, jobs.c.lease_owner != PARKED)
    .group_by(jobs.c.tenant)
    .subquery("busy")
)
_running = func.coalesce(_busy.c.running, 0)
_all = tenants.alias("all_tenants")


def _waiting(*chosen: ColumnElement[Any]) -> Select[Any]:
    """The rows of a queue that are due, and whose tenant has not as many running as it may."""
    rows = jobs.join(tenants, tenants.c.id == jobs.c.tenant).outerjoin(_busy, _busy.c.tenant == jobs.c.tenant)
    may_run = quotas.may_run(_running, bindparam("running_at_most", type_=Integer))
    return select(*chosen).select_from(rows).where(is_due(bindparam("of", type_=String)), may_run)


_is_known = and_(
    or_(jobs.c.kind.is_(None), jobs.c.kind.in_(bindparam("kinds", expanding=True))),
    jobs.c.action.in_(bindparam("actions", expanding=True)),
)
# Priority, then the tenant with least running, then the one that was served least, then whose turn it is.
_BEST = (
    _waiting(jobs.c.id)
    .where(_is_known)
    .order_by(jobs.c.priority.desc(), _running, tenants.c.served_until, jobs.c.turn_at, jobs.c.id)
    .limit(1)
    .with_for_update(skip_locked=True, of=jobs)
    .correlate(None)
)
# Nobody needs to know of more; to count on among thousands would cost more than a claim.
DUE_AT_MOST = 100
_DUE = _waiting(jobs.c.id).limit(DUE_AT_MOST)
_COUNT = select(func.count()).select_from(_DUE.subquery())
_COUNT_KNOWN = select(func.count()).select_from(_DUE.where(_is_known).subquery())
_HAS_ANOTHERS = select(
    _waiting(jobs.c.id).where(_is_known, jobs.c.tenant != bindparam("mine", type_=String)).correlate(None).exists()
)
_CLAIM = (
    update(jobs)
    .where(
        # The row is held from the moment in which it is found: SQLite has one writer, PostgreSQL locks it.
        jobs.c.id == _BEST.scalar_subquery(),
        or_(bindparam("only", type_=String).is_(None), jobs.c.tenant == bindparam("only", type_=String)),
    )
    .values(
        state=RUNNING,
        stage="starting",
        attempt=jobs.c.attempt + 1,
        fence=jobs.c.fence + 1,
        lease_owner=bindparam("worker"),
        lease_until=now() + bindparam("lease_s", type_=Double),
        revision=jobs.c.revision + 1,
        progress=None,
        error=None,
        started_at=func.coalesce(jobs.c.started_at, now()),
    )
    .returning(jobs, (jobs.c.deadline_at - now()).label("deadline_in_s"))
)
_BEGIN = insert(attempts).values(
    tenant=bindparam("whose"), job=bindparam("job"), fence=bindparam("fence"), number=bindparam("number"),
    worker=bindparam("by"), started_at=now(), beat_at=now(), resumed_from=bindparam("resumed_from"), swept=False,
)  # fmt: skip


def _later(one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
    return case((one > other, one), else_=other)


# From where on all are served now: whoever has had less and comes back has no claim to what others had meanwhile. A
# clock would run on while others are served, and forgive in that time what was used.
_from = select(func.coalesce(func.max(_all.c.served_from), 0.0)).scalar_subquery()
_expected_s = bindparam("expected_s", type_=Double)
# Of its other jobs that run: what they take is not known yet, and may be a fraction of what was expected.
_open_s = (
    select(func.coalesce(func.sum(jobs.c.expected_s), 0.0) - _expected_s)
    .where(jobs.c.tenant == bindparam("of"), jobs.c.state == RUNNING, jobs.c.lease_owner != PARKED)
    .scalar_subquery()
)
_CHARGE = (
    update(tenants)
    .where(tenants.c.id == bindparam("of"))
    .values(
        served_from=_later(tenants.c.served_until - _open_s, _from),
        served_until=_later(tenants.c.served_until, _from) + _expected_s,
    )
    .returning(tenants.c.running_at_most)
)
_CHARGE_HELP = (
    update(tenants).where(tenants.c.id == bindparam("of")).values(served_until=tenants.c.served_until + _expected_s)
)
# What it took instead of what was expected.
_SETTLE = (
    update(tenants)
    .where(tenants.c.id == bindparam("of"))
    .values(
        served_until=tenants.c.served_until
        + now()
        - select(attempts.c.started_at + jobs.c.expected_s)
        .where(jobs.c.id == attempts.c.job, attempts.c.job == bindparam("job"), attempts.c.fence == bindparam("fence"))
        .scalar_subquery()
    )
)


@dataclass(frozen=True)
class Skills:
    """What a worker can do; a job of a newer version's kind or action is left to a newer worker."""

    actions: Collection[str]
    kinds: Collection[str]


def claim_next(
    sql: Connection,
    queue: str,
    *,
    worker: str,
    skills: Skills,
    lease_s: float,
    only_tenant: str | None = None,
    running_at_most: int = 0,
) -> Claim | None:
    """Claim the best queued row of a queue: priority, then the tenant's fair share, then its turn.

    None when nothing is due, when another worker was faster, or when the best row belongs to another tenant than
    `only_tenant` (a process that has held one tenant's data takes no other's). Of one tenant no more than
    `running_at_most` run at once, 0 being no limit, or as many as its own row says; of one that is suspended, none.
    """
    wanted = {**_asked(queue, skills, running_at_most), "only": only_tenant, "worker": worker, "lease_s": lease_s}
    row = None
    try:
        with apart.step(sql) as step:
            row = sql.execute(_CLAIM, wanted).one_or_none()
            if row is None:
                return None
            # The tenant's row is held from here on: its claims come one after the other, and each counts those before.
            own = sql.execute(_CHARGE, {"of": row.tenant, "expected_s": row.expected_s}).scalar()
            at_most = quotas.one_limit(own, running_at_most)
            if at_most is not None and sql.execute(quotas.COUNT_RUNNING, {"of": row.tenant}).scalar_one() > at_most:
                step.rollback()
                return None
            _begin(sql, row, worker)
    except Damaged as damaged:
        if row is not None:
            _put_off(sql, row, damaged)
        return None
    return as_claim(row, worker, lease_s)


def _begin(sql: Connection, row: Row[Any], worker: str) -> None:
    resumed_from = row.checkpoint and row.checkpoint["at"]
    attempt = {
        "whose": row.tenant, "job": row.id, "fence": row.fence, "number": row.attempt, "by": worker,
        "resumed_from": resumed_from,
    }  # fmt: skip
    sql.execute(_BEGIN, attempt)
    history.note(sql, row.tenant, row.id, "state", {"state": RUNNING, "stage": "starting", "attempt": row.attempt})


def _put_off(sql: Connection, row: Row[Any], damaged: Damaged) -> None:
    """The best row stays the best, and whoever is behind it would wait until its tenant's keys are restored."""
    log.error("damaged", tenant=row.tenant, job=row.id, detail=damaged.detail)
    sql.execute(update(jobs).where(jobs.c.id == row.id).values(run_after=now() + PUT_OFF_S))


def count_due(sql: Connection, queue: str, *, skills: Skills | None = None, running_at_most: int = 0) -> int:
    """How many rows of a queue could be claimed now, by a worker of these skills or by any; up to DUE_AT_MOST."""
    if skills is None:
        return int(sql.execute(_COUNT, {"of": queue, "running_at_most": running_at_most}).scalar_one())
    return int(sql.execute(_COUNT_KNOWN, _asked(queue, skills, running_at_most)).scalar_one())


def has_anothers(sql: Connection, queue: str, tenant: str, *, skills: Skills, running_at_most: int = 0) -> bool:
    """Whether a worker of these skills could claim a row of a tenant other than this one."""
    return bool(sql.execute(_HAS_ANOTHERS, {**_asked(queue, skills, running_at_most), "mine": tenant}).scalar())


def _asked(queue: str, skills: Skills, running_at_most: int) -> Json:
    return {
        "of": queue, "actions": list(skills.actions), "kinds": list(skills.kinds), "running_at_most": running_at_most,
    }  # fmt: skip


def as_claim(row: Row[Any], worker: str, lease_s: float) -> Claim:
    """What an attempt needs to know of its job; the row has `deadline_in_s` beside the table's columns."""
    compute_s, helped_s = (float((row.cost or {}).get(name, 0.0)) for name in ("compute_s", "helped_s"))
    return Claim(
        job_id=row.id, fence=row.fence, attempt=row.attempt, tenant=row.tenant, worker=worker, action=row.action,
        kind=row.kind, datasets=row.datasets, model=row.model, version=row.version, params=row.params,
        budget=row.budget, promote=row.promote, checkpoint=row.checkpoint,
        compute_s=max(0.0, compute_s - helped_s), helped_s=helped_s, deadline_in_s=row.deadline_in_s, lease_s=lease_s,
        parent=row.parent, cost=row.cost or {},
    )  # fmt: skip


def beat(sql: Connection, claim: Claim, *, progress: Json | None = None, cost: Json | None = None) -> Wish:
    """Say that the attempt lives and how far it is; learn whether the client wants it to stop.

    Raises ClaimLost when the fence has moved on: stop, and write nothing.
    """
    leaving = select(workers.c.draining_at).where(workers.c.name == claim.worker).scalar_subquery()
    said = {name: value for name, value in (("progress", progress), ("cost", cost)) if value is not None}
    row = sql.execute(
        update(jobs)
        .where(_is_mine(claim))
        # The revision moves only when there is something new to see; a bare sign of life wakes no client.
        .values(lease_until=now() + claim.lease_s, revision=jobs.c.revision + (1 if said else 0), **said)
        .returning(jobs.c.cancel_requested_at, jobs.c.keep, leaving.label("draining_at"))
    ).one_or_none()
    if row is None:
        raise _lost(claim)
    sql.execute(
        update(attempts).where(attempts.c.job == claim.job_id, attempts.c.fence == claim.fence).values(beat_at=now())
    )
    return Wish(cancel=row.cancel_requested_at is not None, keep=row.keep, drain=row.draining_at is not None)


def enter(sql: Connection, claim: Claim, stage: str) -> None:
    """Say which stage the attempt has reached."""
    _write(sql, claim, stage=stage, progress=None)
    _note(sql, claim, "stage", {"state": RUNNING, "stage": stage})


def hold(sql: Connection, claim: Claim) -> None:
    """Make sure that the attempt counts, and keep it so until the transaction ends: before anything is published."""
    _write(sql, claim)


def confirm(sql: Connection, claim: Claim) -> None:
    """Make sure that the attempt counts at this moment, and change nothing. Raises ClaimLost."""
    if sql.execute(select(jobs.c.id).where(_is_mine(claim))).first() is None:
        raise _lost(claim)


def note_progress(sql: Connection, claim: Claim) -> None:
    """Something was done that outlives the attempt: losses count from nought again."""
    _write(sql, claim, losses=0)


def record_epochs(sql: Connection, claim: Claim, rows: list[Json]) -> None:
    """Keep the metrics of these epochs; an epoch trained again after a resume replaces its row."""
    _write(sql, claim)
    numbers = [row["epoch"] for row in rows]
    sql.execute(delete(epochs).where(epochs.c.job == claim.job_id, epochs.c.epoch >= min(numbers)))
    mine = {"tenant": claim.tenant, "job": claim.job_id}
    sql.execute(insert(epochs), [{**mine, "epoch": row["epoch"], "metrics": row} for row in rows])


def record_checkpoint(sql: Connection, claim: Claim, checkpoint: Json) -> None:
    """Make a written checkpoint the one to resume from; progress was made, so losses count from nought again."""
    _write(sql, claim, checkpoint=checkpoint, losses=0)
    _note(sql, claim, "checkpoint", {"at": checkpoint["at"]})


def skip_checkpoint(sql: Connection, claim: Claim, checkpoint: Json, *, reason: str) -> None:
    """Say that a recorded checkpoint cannot be read, so the attempt goes on from the one before it, or from nothing."""
    _write(sql, claim)
    before = checkpoint["before"] and checkpoint["before"]["at"]
    mine = (attempts.c.job == claim.job_id) & (attempts.c.fence == claim.fence)
    sql.execute(update(attempts).where(mine).values(resumed_from=before))
    _note(sql, claim, "checkpoint_unreadable", {"at": checkpoint["at"], "reason": reason})


def succeed(sql: Connection, claim: Claim, *, result: Json, cost: Json, files: list[Json] | None = None) -> None:
    """End the job well; what it made is recorded in the same transaction, by the caller or as output files."""
    _end(sql, claim, SUCCEEDED, outcome=SUCCEEDED, result=result, cost=cost)
    _add_files(sql, claim, files)


def _add_files(sql: Connection, claim: Claim, files: list[Json] | None) -> None:
    if files:
        sql.execute(insert(outputs), [{"tenant": claim.tenant, "job": claim.job_id, **file} for file in files])


def fail(sql: Connection, claim: Claim, error: EtudeError, *, cost: Json) -> None:
    """End the job badly, with the reason on the row."""
    _end(sql, claim, FAILED, outcome=FAILED, error=error.as_json(), cost=cost)


def finish_cancelled(
    sql: Connection, claim: Claim, *, cost: Json, result: Json | None = None, files: list[Json] | None = None
) -> None:
    """End the job because the client asked; with what it had done by then, if that was kept."""
    _end(sql, claim, CANCELLED, outcome=CANCELLED, result=result, cost=cost)
    _add_files(sql, claim, files)


def park(sql: Connection, claim: Claim, *, progress: Json, cost: Json) -> None:
    """Let go of a search whose trials run; what wakes it puts it back into its queue (shared/studies.py)."""
    held = {"lease_owner": PARKED, "lease_until": now() + PARKED_S}
    _write(sql, claim, stage="searching", progress=progress, cost=cost, **held)
    _settle(sql, claim)
    _close(sql, claim, outcome="parked", error=None)
    history.note(
        sql, claim.tenant, claim.job_id, "stage", {"state": RUNNING, "stage": "searching", "outcome": "parked"}
    )


def draw(sql: Connection, claim: Claim, *, params: Json, budget: Json) -> None:
    """Make a drawn point the one that a trial tries, in every attempt of it."""
    _write(sql, claim, params=params, budget=budget)


def release(sql: Connection, claim: Claim, *, cost: Json) -> None:
    """Give the job back unharmed: the worker leaves. Not a loss."""
    _requeue(sql, claim, outcome="drained", cost=cost)


def try_again(sql: Connection, claim: Claim, error: EtudeError, *, cost: Json) -> None:
    """Put the job back for another try a little later; after TRIES_AT_MOST of them it fails."""
    tries = sql.execute(select(jobs.c.tries).where(_is_mine(claim))).scalar()
    if tries is None:
        raise ClaimLost(f"Job {claim.job_id}: the attempt ended while it failed.")
    if tries + 1 >= TRIES_AT_MOST:
        return fail(sql, claim, error, cost=cost)
    wait_s = min(10.0 * 2**tries, 360.0)
    _requeue(
        sql, claim, outcome="repeated", cost=cost, tries=tries + 1, run_after=now() + wait_s, error=error.as_json()
    )
    return None


def stall(sql: Connection, claim: Claim, error: EtudeError, *, cost: Json) -> None:
    """End an attempt that has not moved: as one that was lost, it fails the job after LOSSES_AT_MOST in a row."""
    losses = sql.execute(select(jobs.c.losses).where(_is_mine(claim))).scalar()
    if losses is None:
        raise ClaimLost(f"Job {claim.job_id}: the attempt ended while it stalled.")
    if losses + 1 >= LOSSES_AT_MOST:
        return _end(sql, claim, FAILED, outcome="stalled", error=error.as_json(), cost=cost, losses=losses + 1)
    return _requeue(sql, claim, outcome="stalled", cost=cost, losses=losses + 1, error=error.as_json())


def _is_mine(claim: Claim) -> ColumnElement[bool]:
    mine = (jobs.c.tenant == claim.tenant) & (jobs.c.id == claim.job_id)
    return mine & (jobs.c.fence == claim.fence) & (jobs.c.state == RUNNING)


def _write(sql: Connection, claim: Claim, **values: Any) -> None:
    taken = sql.execute(update(jobs).where(_is_mine(claim)).values(revision=jobs.c.revision + 1, **values))
    if taken.rowcount == 0:
        raise _lost(claim)


def _note(sql: Connection, claim: Claim, type_: str, data: Json) -> None:
    history.note(sql, claim.tenant, claim.job_id, type_, data)


def _close(sql: Connection, claim: Claim, *, outcome: str, error: Json | None) -> None:
    history.close_attempt(sql, claim.tenant, claim.job_id, claim.fence, outcome=outcome, error=error)


def _lost(claim: Claim) -> ClaimLost:
    return ClaimLost(f"Job {claim.job_id}: attempt {claim.attempt} is no longer the one that counts.")


def _end(sql: Connection, claim: Claim, state: str, *, outcome: str, **values: Any) -> None:
    _write(sql, claim, state=state, stage=None, lease_owner=None, lease_until=None, ended_at=now(), **values)
    _settle(sql, claim)
    _close(sql, claim, outcome=outcome, error=values.get("error"))
    _note(sql, claim, "state", {"state": state, "outcome": outcome})


def _requeue(sql: Connection, claim: Claim, *, outcome: str, **values: Any) -> None:
    _write(sql, claim, state=QUEUED, stage=None, lease_owner=None, lease_until=None, **values)
    _settle(sql, claim)
    _close(sql, claim, outcome=outcome, error=values.get("error"))
    _note(sql, claim, "state", {"state": QUEUED, "reason": outcome, "outcome": outcome})


def charge_help(sql: Connection, claim: Claim, helped_s: float) -> None:
    """Charge the tenant with what another worker has done of its job; after a fenced write of that."""
    sql.execute(_CHARGE_HELP, {"of": claim.tenant, "expected_s": helped_s})


def _settle(sql: Connection, claim: Claim) -> None:
    sql.execute(_SETTLE, {"of": claim.tenant, "job": claim.job_id, "fence": claim.fence})
