"""How things stand, for /metrics: what waits, what runs, who works. Cheap however many jobs have ended.

Each statement reads a range of an index that has none of the jobs that are over, and none counts on without end.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, func, select

from shared import queue, tallies
from shared.database import now
from shared.jobs import QUEUED, RUNNING
from shared.settings import Settings
from shared.tables import deliveries, jobs, workers
from shared.tallies import Counted

# More are told as so many: to count on takes a second of the database for a million.
COUNTED_AT_MOST = 100_000
# A scheduler may miss one tick and be late with another.
TICKS_ALLOWED = 3

_WAITING = (
    select(jobs.c.run_after)
    .where(jobs.c.state == QUEUED, jobs.c.queue == bindparam("of"))
    .limit(COUNTED_AT_MOST)
    .subquery()
)
_QUEUE = select(func.count(), now() - func.min(_WAITING.c.run_after)).select_from(_WAITING)
_RUNNING = select(jobs.c.action, func.count()).where(jobs.c.state == RUNNING).group_by(jobs.c.action)
_SILENT = select(func.count()).where(jobs.c.state == RUNNING, jobs.c.lease_until < now() - bindparam("for_s"))
_is_silent = workers.c.beat_at < now() - bindparam("lease_s")
_STATE = case((_is_silent, "silent"), (workers.c.draining_at.is_not(None), "draining"), else_="alive").label("state")
_WORKERS = select(workers.c.queue, _STATE, func.count()).group_by(workers.c.queue, _STATE)
_CONTAINED = (
    select(workers.c.queue, workers.c.containment, func.count())
    .where(~_is_silent, workers.c.containment.is_not(None))
    .group_by(workers.c.queue, workers.c.containment)
)
_MEMORY = select(workers.c.queue, func.sum(workers.c.memory_bytes)).where(~_is_silent).group_by(workers.c.queue)
_DEVICES = select(workers.c.name, workers.c.devices).where(~_is_silent, workers.c.devices.is_not(None))
_TOLD = select(deliveries.c.id).where(deliveries.c.state == bindparam("state")).limit(COUNTED_AT_MOST).subquery()
_DELIVERIES = select(func.count()).select_from(_TOLD)


@dataclass(frozen=True)
class Queue:
    """What waits in a queue, and for how long the oldest of it could have begun."""

    name: str
    waiting: int
    oldest_s: float


@dataclass(frozen=True)
class Device:
    """A graphics card as a worker has told of it."""

    worker: str
    index: int
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Census:
    """How things stand at one moment."""

    queues: list[Queue]
    running: dict[str, int]
    silent: int
    workers: dict[tuple[str, str], int]
    memory: dict[str, int]
    contained: dict[tuple[str, str], int]
    devices: list[Device]
    deliveries: dict[str, int]
    counted: list[Counted]


def take(sql: Connection, chosen: Settings) -> Census:
    return Census(
        queues=[_queue(sql, name) for name in queue.QUEUES],
        running={row[0]: row[1] for row in sql.execute(_RUNNING)},
        silent=int(sql.execute(_SILENT, {"for_s": chosen.lease_s + TICKS_ALLOWED * chosen.tick_s}).scalar_one()),
        workers={(row[0], row[1]): row[2] for row in sql.execute(_WORKERS, {"lease_s": chosen.lease_s})},
        memory={row[0]: int(row[1] or 0) for row in sql.execute(_MEMORY, {"lease_s": chosen.lease_s})},
        contained={(row[0], row[1]): row[2] for row in sql.execute(_CONTAINED, {"lease_s": chosen.lease_s})},
        devices=[
            Device(row.name, each["index"], each["used_bytes"], each["total_bytes"])
            for row in sql.execute(_DEVICES, {"lease_s": chosen.lease_s})
            for each in row.devices
        ],
        deliveries={
            state: int(sql.execute(_DELIVERIES, {"state": state}).scalar_one()) for state in ("waiting", "failed")
        },
        counted=tallies.every(sql),
    )


def _queue(sql: Connection, name: str) -> Queue:
    waiting, oldest_s = sql.execute(_QUEUE, {"of": name}).one()
    return Queue(name, int(waiting), max(0.0, float(oldest_s or 0.0)))
