"""What becomes of each moment of a schedule: a job, or the reason why there is none.

Any number of schedulers may see a moment come. Taking what has come is a compare-and-set on the schedule's row, which
the transaction then holds; the job, and a row of `fires` for each moment, are written in the same transaction.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from shared import apart, cron, jobs, quotas, refusals, submission, webhooks
from shared.database import now
from shared.errors import EtudeError, InvalidRequest, NotAllowedNow, RequestRefused
from shared.jobs import QUEUED, RUNNING
from shared.log import logger
from shared.settings import Settings
from shared.tables import fires as table
from shared.tables import jobs as job_table
from shared.tables import schedules, tenants
from shared.wanted import NewJob

ACTIVE, PAUSED = "active", "paused"
SUBMITTED, WAITING, SKIPPED, MISSED, REFUSED = "submitted", "waiting", "skipped", "missed", "refused"

# A tick that finds more than this is a storm; the next one, a moment later, goes on.
FIRED_AT_ONCE = 200
# A scheduler ticks every few seconds; who comes later than this was away.
TOLERANCE_S = 60.0
# However long all schedulers were away, so many of the newest moments are looked at, and the older leave no row.
MOMENTS_AT_MOST = 100
# A schedule has a few open jobs, and they are its newest; all that it ever had may be a million.
LOOKED_AT = 100
# What a page of the last runs shows, of a schedule of every month, too.
RUNS_KEPT = 100
FORGOTTEN_AT_ONCE = 1000
# Refusals that pass by themselves; after any other the schedule would be refused for ever.
PASSING = ("dataset_not_ready", "too_many_jobs", "compute_exhausted")

Json = dict[str, Any]

# Of a tenant that is suspended nothing fires; what came meanwhile is decided of by `misfire` once it may work again.
_MAY_WORK = schedules.c.tenant.not_in(select(tenants.c.id).where(tenants.c.suspended_at.is_not(None)))

log = logger("schedules")


@dataclass(frozen=True)
class Taken:
    """A schedule that this transaction holds, and the moment at which it was found due."""

    sql: Connection
    row: Row[Any]
    at: float
    settings: Settings


def list_due(sql: Connection) -> list[Row[Any]]:
    """The schedules of which a moment has come, each with `at`, the present moment."""
    due = (schedules.c.state == ACTIVE) & (schedules.c.next_at <= now()) & _MAY_WORK
    chosen = select(schedules, now().label("at")).where(due).order_by(schedules.c.next_at).limit(FIRED_AT_ONCE)
    return list(sql.execute(chosen).all())


def list_waiting(sql: Connection) -> list[Row[Any]]:
    """The schedules of which a run waits that nothing is before any more, each with `at`, the present moment."""
    waits = exists().where(table.c.schedule == schedules.c.id, table.c.outcome == WAITING)
    is_free = ~_under_way(schedules.c.id).exists()
    chosen = select(schedules, now().label("at")).where(schedules.c.state == ACTIVE, waits, is_free, _MAY_WORK)
    return list(sql.execute(chosen.limit(FIRED_AT_ONCE)).all())


def seconds_to_next(sql: Connection) -> float | None:
    """How long until a schedule is due; negative when one is, None when none will be."""
    chosen = select(func.min(schedules.c.next_at) - now()).where(schedules.c.state == ACTIVE, _MAY_WORK)
    return sql.execute(chosen).scalar()


def fire(sql: Connection, seen: Row[Any], settings: Settings) -> bool:
    """Take what has come of a schedule as it was seen; returns whether nobody else had, and nobody changed it."""
    following = cron.next_after(seen.cron, seen.timezone, seen.at)
    taken = sql.execute(_as_seen(seen).values(next_at=following).returning(schedules)).one_or_none()
    if taken is None:
        return False
    _decide(Taken(sql, taken, seen.at, settings), since=seen.next_at)
    return True


def submit_waiting(sql: Connection, seen: Row[Any], settings: Settings) -> bool:
    """Submit the oldest run that waits, if nothing is before it still; returns whether one was looked at."""
    # Changes nothing, and holds the row.
    taken = sql.execute(_as_seen(seen).values(next_at=seen.next_at).returning(schedules)).one_or_none()
    if taken is None or sql.execute(_UNDER_WAY, {"of": seen.id}).first() is not None:
        return False
    oldest = sql.execute(select(func.min(table.c.due_at)).where(_waits(seen.id))).scalar()
    if oldest is None:
        return False
    said = _submit(Taken(sql, taken, seen.at, settings))
    mine = (table.c.tenant == seen.tenant) & (table.c.schedule == seen.id) & (table.c.due_at == oldest)
    sql.execute(update(table).where(mine).values(fired_at=seen.at, **said))
    return True


def stop(sql: Connection, seen: Row[Any], error: EtudeError) -> None:
    """Pause a schedule that cannot be fired for a reason of ours, so that it stops nobody else's."""
    taken = sql.execute(_as_seen(seen).values(next_at=None, state=PAUSED).returning(schedules)).one_or_none()
    if taken is not None:
        # If not even the reason can be written down, it is in the log.
        apart.each(sql, [taken], lambda row: _pause(sql, row, error))


def prepare(sql: Connection, schedule: Row[Any], settings: Settings) -> jobs.NewJob:
    """The job that a schedule submits, its references resolved now. Raises what `check` raises."""
    return replace(check(sql, schedule.tenant, schedule.job, settings), schedule=schedule.id)


def check(sql: Connection, tenant: str, job: Json, settings: Settings) -> jobs.NewJob:
    """As submission.check, of a job that a schedule holds: its faults are told as places in the schedule."""
    # Written by an older release, it may say what this one does not take.
    try:
        return submission.check(sql, tenant, NewJob.model_validate(job), settings)
    except ValidationError as cause:
        raise refusals.of(cause, under="/job") from cause
    except InvalidRequest as cause:
        faults = [replace(fault, pointer=f"/job{fault.pointer or ''}") for fault in cause.faults]
        raise InvalidRequest(cause.detail, code=cause.code, faults=faults) from cause


def forget_old(sql: Connection, *, after_s: float, at_most: int) -> int:
    """Forget the oldest runs of schedules that have had more than RUNS_KEPT since; returns how many."""
    edge, oldest = _oldest_kept(schedules.c.id), _oldest(schedules.c.id)
    chosen = select(schedules.c.id, edge.label("edge")).where(oldest < now() - after_s, oldest < edge)
    rows = sql.execute(chosen.limit(at_most)).all()
    return sum(_forget(sql, (table.c.schedule == row.id) & (table.c.due_at < row.edge), after_s) for row in rows)


def _forget(sql: Connection, which: ColumnElement[bool], after_s: float) -> int:
    is_old = which & (table.c.due_at < now() - after_s) & (table.c.outcome != WAITING)
    # Bounded, as an operator may choose a shorter time and a schedule of every minute has a row a minute.
    few = select(table.c.due_at).where(is_old).order_by(table.c.due_at).limit(FORGOTTEN_AT_ONCE).correlate(None)
    return sql.execute(delete(table).where(is_old, table.c.due_at.in_(few))).rowcount


def _oldest(schedule_id: ColumnElement[str]) -> Any:  # Any: SQLAlchemy's scalar subquery
    run = table.alias("run")
    return select(func.min(run.c.due_at)).where(run.c.schedule == schedule_id).scalar_subquery()


def _oldest_kept(schedule_id: ColumnElement[str]) -> Any:  # Any: SQLAlchemy's scalar subquery
    """The moment of the oldest of the runs that are kept however old they are; null when there are fewer."""
    run = table.alias("kept")
    newest = select(run.c.due_at).where(run.c.schedule == schedule_id).order_by(run.c.due_at.desc())
    return newest.offset(RUNS_KEPT - 1).limit(1).scalar_subquery()


def drop_waiting(sql: Connection, schedule_id: str) -> None:
    """What waits behind another run will not be submitted."""
    sql.execute(update(table).where(_waits(schedule_id)).values(outcome=SKIPPED))


def _as_seen(seen: Row[Any]) -> Any:  # Any: SQLAlchemy's update of a table has no short type
    """An update of the schedule, if since it was seen it was neither taken nor changed."""
    return update(schedules).where(
        schedules.c.id == seen.id, schedules.c.next_at == seen.next_at, schedules.c.revision == seen.revision
    )


def _decide(taken: Taken, *, since: float) -> None:
    """Say of every moment from `since` to now what becomes of it; once one is refused, so would be the others."""
    come = _come(taken, since)
    runs = choose(come, taken.at, misfire=taken.row.misfire, grace_s=taken.row.misfire_grace_s)
    is_refused = False
    for due_at in come:
        said = _run(taken, due_at) if due_at in runs and not is_refused else {"outcome": MISSED}
        is_refused = is_refused or said["outcome"] == REFUSED
        _note(taken, due_at, said)


def _come(taken: Taken, since: float) -> list[float]:
    """The moments that have come. The clock may have been put back: one that has its row is left alone."""
    row = taken.row
    come = cron.newest(row.cron, row.timezone, since=since, until=taken.at, at_most=MOMENTS_AT_MOST)
    known = set(taken.sql.execute(_TOLD, {"of": row.id, "since": since}).scalars())
    return [due_at for due_at in come if due_at not in known]


def choose(come: list[float], at: float, *, misfire: str, grace_s: float) -> list[float]:
    """Which of the moments that have come make a run; the others are missed."""
    on_time = [due_at for due_at in come if at - due_at <= TOLERANCE_S]
    within_grace = [due_at for due_at in come if at - due_at <= max(grace_s, TOLERANCE_S)]
    return {"skip": on_time, "once": within_grace[-1:], "all": within_grace}[misfire]


def _run(taken: Taken, due_at: float) -> Json:
    """What becomes of one moment, by the schedule's overlap."""
    sql, row = taken.sql, taken.row
    waiting = sql.execute(_COUNT_WAITING, {"of": row.id}).scalar_one()
    is_busy = waiting > 0 or sql.execute(_UNDER_WAY, {"of": row.id}).first() is not None
    if not is_busy or row.overlap == "replace":
        return _submit(taken)
    # Catching up with all that was missed means one after the other, and so all of it waits.
    is_late = row.misfire == "all" and taken.at - due_at > TOLERANCE_S
    may_wait = row.overlap == "queue" and (waiting == 0 or is_late)
    return {"outcome": WAITING if may_wait else SKIPPED}


def _submit(taken: Taken) -> Json:
    """The job in the queue, and those before it asked to end if it replaces them; or why it was refused."""
    try:
        _demand_place(taken)
        new = prepare(taken.sql, taken.row, taken.settings)
    except RequestRefused as refusal:
        return _refuse(taken, refusal)
    if taken.row.overlap == "replace":
        _make_way(taken)
    return {"outcome": SUBMITTED, "job": jobs.submit(taken.sql, new).id}


def _demand_place(taken: Taken) -> None:
    limits = quotas.of_tenant(taken.sql, taken.row.tenant, taken.settings)
    quotas.demand_compute(taken.sql, taken.row.tenant, limits.compute_s)
    quotas.demand_queue(taken.sql, taken.row.tenant, limits.queued)


def _make_way(taken: Taken) -> None:
    drop_waiting(taken.sql, taken.row.id)
    for job in taken.sql.execute(_UNDER_WAY, {"of": taken.row.id}).scalars().all():
        # It may have ended meanwhile, which is what was wanted.
        with suppress(NotAllowedNow):
            jobs.cancel(taken.sql, taken.row.tenant, job)


def _refuse(taken: Taken, refusal: RequestRefused) -> Json:
    error = refusal.as_json()
    _tell(taken.sql, taken.row, "schedule.refused", error)
    if refusal.code not in PASSING:
        _pause(taken.sql, taken.row, refusal)
    return {"outcome": REFUSED, "error": error}


def _pause(sql: Connection, row: Row[Any], error: EtudeError) -> None:
    drop_waiting(sql, row.id)
    change = {"state": PAUSED, "next_at": None, "error": error.as_json(), "revision": schedules.c.revision + 1}
    mine = (schedules.c.tenant == row.tenant) & (schedules.c.id == row.id)
    sql.execute(update(schedules).where(mine).values(change))
    _tell(sql, row, "schedule.paused", error.as_json())


def _tell(sql: Connection, row: Row[Any], type_: str, error: Json) -> None:
    """The events of a schedule: `schedule.refused`, `schedule.paused`."""
    log.warning(type_, schedule=row.id, tenant=row.tenant, code=error["code"])
    webhooks.tell(sql, row.tenant, type_, {"schedule": row.id, "error": error["code"]})


def _note(taken: Taken, due_at: float, said: Json) -> None:
    values = {
        "tenant": taken.row.tenant,
        "schedule": taken.row.id,
        "due_at": due_at,
        "fired_at": taken.at,
        "by_hand": False,
        **said,
    }
    taken.sql.execute(insert(table).values(values))


def _waits(schedule_id: str | BindParameter[str]) -> ColumnElement[bool]:
    return (table.c.schedule == schedule_id) & (table.c.outcome == WAITING)


def _under_way(schedule_id: Any) -> Select[Any]:  # Any: an id, or the column of one
    """The jobs of a schedule that have not ended."""
    other = job_table.alias()
    of_it = select(other.c.id).where(other.c.schedule == schedule_id).correlate(schedules)
    newest = of_it.order_by(other.c.id.desc()).limit(LOOKED_AT)
    return select(job_table.c.id).where(job_table.c.id.in_(newest), job_table.c.state.in_((QUEUED, RUNNING)))


# Built once: putting them together costs more than running them, and a thousand schedules may be due together.
_UNDER_WAY = _under_way(bindparam("of"))
_COUNT_WAITING = select(func.count()).select_from(table).where(_waits(bindparam("of")))
_TOLD = select(table.c.due_at).where(table.c.schedule == bindparam("of"), table.c.due_at >= bindparam("since"))
