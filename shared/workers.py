"""The workers: who is there, since when, and who is leaving. A slot's name outlives its process; a boot does not."""

import platform
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from shared import recovery
from shared.database import now
from shared.tables import workers


def name_of(queue: str, slot: str) -> str:
    """The name of a slot on this host; two workers must never share one, for each would end the other's work."""
    return f"{queue}-{slot}@{platform.node()}"


def boot(sql: Connection, name: str, *, boot: str, queue: str, pid: int) -> list[str]:
    """Take a slot; what its predecessor still holds is lost now, not later. Returns the queues to ring."""
    row = {"boot": boot, "queue": queue, "pid": pid, "started_at": now(), "beat_at": now(), "draining_at": None}
    taken = sql.execute(update(workers).where(workers.c.name == name).values(row))
    if taken.rowcount == 0:
        sql.execute(insert(workers).values(name=name, **row))
    return recovery.lose(sql, name)


def beat(sql: Connection, name: str) -> None:
    """Say that the worker lives."""
    sql.execute(update(workers).where(workers.c.name == name).values(beat_at=now()))


def drain(sql: Connection, name: str) -> None:
    """Say that the worker leaves: it claims nothing more, and its job learns it from its next beat."""
    sql.execute(update(workers).where(workers.c.name == name).values(draining_at=now()))


def is_draining(sql: Connection, name: str) -> bool:
    return sql.execute(select(workers.c.draining_at).where(workers.c.name == name)).scalar() is not None


def every(sql: Connection) -> list[Row[Any]]:
    """All slots that ever booted, the newest first."""
    return list(sql.execute(select(workers).order_by(workers.c.started_at.desc())).all())
