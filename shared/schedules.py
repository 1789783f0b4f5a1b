"""Schedules: a job that is submitted by itself, at the moments of a cron expression in a time zone.

Each function is called inside one transaction. What becomes of a moment that has come is in shared/fires.py.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared import cron, fires, ids, jobs, quotas
from shared.database import now
from shared.errors import EtudeError, NotAllowedNow, NotFound
from shared.fires import ACTIVE, PAUSED, SUBMITTED
from shared.settings import Settings
from shared.tables import fires as fire_table
from shared.tables import jobs as job_table
from shared.tables import schedules as table
from shared.tenancy import owned

Json = dict[str, Any]

# A cursor of runs is a whole number: moments of cron are whole minutes, those by hand lie between two milliseconds.
PARTS_A_SECOND = 10_000


def create(sql: Connection, tenant: str, said: Json, settings: Settings) -> Row[Any]:
    """Make a schedule of what a client said.

    Raises InvalidRequest when its job would be refused, NotAllowedNow when the tenant has as many as it may.
    """
    fires.check(sql, tenant, said["job"], settings)
    quotas.demand_schedule(sql, tenant, quotas.of_tenant(sql, tenant, settings).schedules)
    values = {
        **said, "id": ids.new("sch"), "tenant": tenant, "state": ACTIVE, "revision": 0, "created_at": now(),
        "next_at": cron.next_after(said["cron"], said["timezone"], read_clock(sql)),
    }  # fmt: skip
    with _sole(said["name"]):
        return sql.execute(insert(table).values(values).returning(table)).one()


def change(sql: Connection, tenant: str, which: str, said: Json, settings: Settings) -> Row[Any]:
    """Change some fields; with another expression or zone the next moment is counted from now."""
    row = _hold(sql, tenant, which)
    if "job" in said:
        fires.check(sql, tenant, said["job"], settings)
    if row.state == ACTIVE and said.keys() & {"cron", "timezone"}:
        expression, zone = said.get("cron", row.cron), said.get("timezone", row.timezone)
        said = {**said, "next_at": cron.next_after(expression, zone, read_clock(sql))}
    with _sole(said.get("name", row.name)):
        return _write(sql, row, said)


def pause(sql: Connection, tenant: str, which: str) -> Row[Any]:
    """Let no moment of it come; what waits behind a run is given up."""
    row = _hold(sql, tenant, which)
    fires.drop_waiting(sql, row.id)
    return _write(sql, row, {"state": PAUSED, "next_at": None})


def stop(sql: Connection, tenant: str, which: str, reason: EtudeError) -> None:
    """As `pause`, for a reason that its owner is told."""
    row = _hold(sql, tenant, which)
    fires.drop_waiting(sql, row.id)
    _write(sql, row, {"state": PAUSED, "next_at": None, "error": reason.as_json()})


def resume(sql: Connection, tenant: str, which: str) -> Row[Any]:
    """Go on from now: what would have come meanwhile has not been missed."""
    row = _hold(sql, tenant, which)
    if row.state == ACTIVE:
        return row
    following = cron.next_after(row.cron, row.timezone, read_clock(sql))
    return _write(sql, row, {"state": ACTIVE, "next_at": following, "error": None})


def remove(sql: Connection, tenant: str, which: str) -> None:
    """Forget a schedule and what became of its moments; its jobs stay."""
    row = _hold(sql, tenant, which)
    sql.execute(delete(fire_table).where(fire_table.c.schedule == row.id))
    sql.execute(delete(table).where(table.c.id == row.id))


def run(sql: Connection, tenant: str, which: str, settings: Settings) -> Row[Any]:
    """Submit its job now, whatever its state and overlap, and return the job. Raises what fires.check raises."""
    row = _hold(sql, tenant, which)
    job = jobs.submit(sql, fires.prepare(sql, row, settings))
    at = read_clock(sql)
    values = {"due_at": _by_hand(sql, row.id, at), "fired_at": at, "by_hand": True, "job": job.id}
    sql.execute(insert(fire_table).values(tenant=row.tenant, schedule=row.id, outcome=SUBMITTED, **values))
    return job


def find(sql: Connection, tenant: str, which: str) -> Row[Any]:
    """One by its id or its name. Raises NotFound, alike for nobody's and somebody else's."""
    return _there(sql.execute(_called(tenant, which)).one_or_none())


def read_id(sql: Connection, tenant: str, which: str) -> str:
    """The id that an id or a name means; of one that was deleted, whose jobs are still there, only the id is known."""
    row = sql.execute(_called(tenant, which)).one_or_none()
    return which if row is None else str(row.id)


def page(sql: Connection, tenant: str, *, limit: int, before: str | None) -> list[Row[Any]]:
    """The newest first."""
    chosen = select(table).where(table.c.tenant == tenant)
    if before is not None:
        chosen = chosen.where(table.c.id < before)
    return list(sql.execute(chosen.order_by(table.c.id.desc()).limit(limit)).all())


def list_runs(sql: Connection, schedule_id: str, *, limit: int, before: int | None) -> list[Row[Any]]:
    """What became of its moments, the newest first, each with the state of its job."""
    chosen = (
        select(fire_table, job_table.c.state.label("job_state"))
        .outerjoin(job_table, owned(job_table, fire_table.c.tenant) & (job_table.c.id == fire_table.c.job))
        .where(fire_table.c.schedule == schedule_id)
    )
    if before is not None:
        chosen = chosen.where(fire_table.c.due_at < before / PARTS_A_SECOND)
    return list(sql.execute(chosen.order_by(fire_table.c.due_at.desc()).limit(limit)).all())


def list_next(row: Row[Any], *, count: int, after: float) -> list[float]:
    """The moments that come after one, paused or not."""
    return list(islice(cron.after(row.cron, row.timezone, after), count))


def read_clock(sql: Connection) -> float:
    """The database's present moment."""
    return float(sql.execute(select(now())).scalar_one())


def cursor_of(run: Row[Any]) -> str:
    """Where a page of runs goes on."""
    return f"{run.due_at * PARTS_A_SECOND:.0f}"


def _hold(sql: Connection, tenant: str, which: str) -> Row[Any]:
    """The schedule, held until the transaction ends: no moment of it is decided meanwhile."""
    return _there(sql.execute(_called(tenant, which).with_for_update()).one_or_none())


def _called(tenant: str, which: str) -> Select[Any]:
    chosen = select(table).where(table.c.tenant == tenant, (table.c.id == which) | (table.c.name == which))
    # A name may look like an id; the id goes before.
    return chosen.order_by(table.c.id != which).limit(1)


def _there(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise NotFound("There is no such schedule.")
    return row


def _write(sql: Connection, row: Row[Any], values: Json) -> Row[Any]:
    """Change a schedule; a scheduler that has seen it as it was fires nothing."""
    mine = (table.c.tenant == row.tenant) & (table.c.id == row.id)
    change = update(table).where(mine).values(revision=table.c.revision + 1, **values)
    return sql.execute(change.returning(table)).one()


@contextmanager
def _sole(name: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as cause:
        said = f"There is a schedule {name!r} already: choose another name, or change that one."
        raise NotAllowedNow(said, code="schedule_exists") from cause


def _by_hand(sql: Connection, schedule_id: str, at: float) -> float:
    """A moment of its own: after every other run by hand, and never one of cron."""
    mine = (fire_table.c.schedule == schedule_id) & fire_table.c.by_hand
    last = sql.execute(select(func.max(fire_table.c.due_at)).where(mine)).scalar() or 0.0
    millisecond = max(math.floor(at * 1000), math.floor(last * 1000) + 1)
    return (millisecond * 10 + 5) / PARTS_A_SECOND
