"""What the machines of the workers can do, as measured: by it the time of a job is told before any job has ended."""

from dataclasses import dataclass
from statistics import median

from sqlalchemy import Connection, select, update

from shared.queue import TRAIN
from shared.tables import workers

# Of the machine on which the figures of shared/expectation.py were taken (bench/RESULTS.md): a core and what it does
# beside arithmetic (worker/yardstick.py), and a multiplication and an addition of both cores.
CHORES_S = 0.0103
FLOATS_PER_S = 1.6e11


@dataclass(frozen=True)
class Machine:
    """`pace`: how many times as long everything but arithmetic takes as on that machine."""

    pace: float = 1.0
    floats_per_s: float = FLOATS_PER_S

    def seconds(self, around_s: float, arithmetic_s: float) -> float:
        """What takes so long there takes here."""
        return around_s * self.pace + arithmetic_s * FLOATS_PER_S / self.floats_per_s


def is_measured(sql: Connection, worker: str) -> bool:
    """Whether the slot's machine is known; of a slot that there is not, nothing is to be measured either."""
    found = sql.execute(select(workers.c.pace).where(workers.c.name == worker)).one_or_none()
    return found is None or found.pace is not None


def note(sql: Connection, worker: str, machine: Machine) -> None:
    values = {"pace": machine.pace, "floats_per_s": machine.floats_per_s}
    sql.execute(update(workers).where(workers.c.name == worker).values(values))


def usual(sql: Connection) -> Machine:
    """The median of those that train; a job may come to any of them."""
    chosen = select(workers.c.pace, workers.c.floats_per_s).where(workers.c.queue == TRAIN, workers.c.pace.is_not(None))
    rows = sql.execute(chosen).all()
    if not rows:
        return Machine()
    return Machine(median(row.pace for row in rows), median(row.floats_per_s for row in rows))
