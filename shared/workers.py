"""The workers: who is there, since when, and who is leaving. A slot's name outlives its process; a boot does not."""

import platform
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from shared import recovery
from shared.database import now
from shared.jobs import RUNNING
from shared.tables import attempts, jobs, workers
from shared.tenancy import NOBODY, owned

# Long enough that nobody misses who went on a Friday.
KEPT_S = 7 * 24 * 3600.0

Json = dict[str, Any]  # Any: JSON


def name_of(queue: str, slot: str) -> str:
    """The name of a slot on this host; two workers must never share one, for each would end the other's work."""
    return f"{queue}-{slot}@{platform.node()}"


def boot(sql: Connection, name: str, *, boot: str, queue: str, pid: int, containment: str | None = None) -> list[str]:
    """Take a slot; what its predecessor still holds is lost now, not later. Returns the queues to ring.

    `containment` is the tier that its decoders reach; None of one that opens no uploads.
    """
    row = {
        "boot": boot, "queue": queue, "pid": pid, "containment": containment,
        "started_at": now(), "beat_at": now(), "draining_at": None, "devices": None,
    }  # fmt: skip
    taken = sql.execute(update(workers).where(workers.c.name == name).values(row))
    if taken.rowcount == 0:
        sql.execute(insert(workers).values(name=name, **row))
    return recovery.lose(sql, name)


def beat(sql: Connection, name: str, *, memory_bytes: int | None = None, devices: Sequence[Json] | None = None) -> bool:
    """Say that the worker lives, and what it takes; returns whether it could take a job: it holds none, and stays.

    `devices` are the cards that it computes on, each `{index, name, used_bytes, total_bytes}`; None of no card.
    """
    holds = exists().where(jobs.c.state == RUNNING, jobs.c.lease_owner == name)
    row = sql.execute(
        update(workers)
        .where(workers.c.name == name)
        .values(beat_at=now(), memory_bytes=memory_bytes, devices=list(devices) if devices else None)
        .returning(workers.c.draining_at, holds.label("holds"))
    ).one_or_none()
    return row is not None and row.draining_at is None and not row.holds


def drain(sql: Connection, name: str) -> None:
    """Say that the worker leaves: it claims nothing more, and its job learns it from its next beat."""
    sql.execute(update(workers).where(workers.c.name == name).values(draining_at=now()))


def is_draining(sql: Connection, name: str) -> bool:
    return sql.execute(select(workers.c.draining_at).where(workers.c.name == name)).scalar() is not None


def every(sql: Connection, tenant: str = NOBODY) -> list[Row[Any]]:
    """All slots, the newest boot first, each with how long ago it beat, and the job of the tenant that it holds."""
    held = owned(jobs, tenant) & (jobs.c.lease_owner == workers.c.name) & (jobs.c.state == RUNNING)
    silent_s = (now() - workers.c.beat_at).label("silent_s")
    job = [jobs.c[name].label(f"job_{name}") for name in ("id", "action", "kind", "model", "stage")]
    since = attempts.c.started_at.label("job_since")
    rows = workers.outerjoin(jobs, held).outerjoin(
        attempts, owned(attempts, jobs.c.tenant) & (attempts.c.job == jobs.c.id) & (attempts.c.fence == jobs.c.fence)
    )
    chosen = select(workers, silent_s, *job, since).select_from(rows)
    return list(sql.execute(chosen.order_by(workers.c.started_at.desc(), workers.c.name)).all())


def contained(sql: Connection, *, lease_s: float) -> list[tuple[str, str, str]]:
    """Those that beat and open uploads: name, queue, and the tier that keeps its decoders in; sorted by name."""
    is_there = (workers.c.beat_at >= now() - lease_s) & workers.c.containment.is_not(None)
    chosen = select(workers.c.name, workers.c.queue, workers.c.containment).where(is_there)
    return sorted((row.name, row.queue, row.containment) for row in sql.execute(chosen))


def busy(sql: Connection) -> set[str]:
    """The names of those that hold a job of any tenant."""
    return set(sql.execute(select(jobs.c.lease_owner).where(jobs.c.state == RUNNING)).scalars())


def forget(sql: Connection) -> None:
    """Drop the slots that have been silent for KEPT_S and hold nothing: a host that was taken away stays away."""
    holds = exists().where(jobs.c.state == RUNNING, jobs.c.lease_owner == workers.c.name)
    sql.execute(delete(workers).where(workers.c.beat_at < now() - KEPT_S, ~holds))
