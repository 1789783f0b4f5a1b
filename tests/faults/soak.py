"""The soak (34): three rehearsing workers, a training one, a scheduler and Redis, killed and frozen for minutes on end.

`python -m tests.faults.soak --minutes 10` prints what happened and writes it into docs/soak.md; the tests run a minute
of it. Whatever happens, each job that was accepted ends once, with one effect.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import select

from shared import workers
from shared.errors import Unavailable
from shared.jobs import ENDED, RUNNING, NewJob, submit
from shared.queue import LIGHT, TRAIN
from shared.tables import jobs
from tests.faults.house import House
from tests.worker import working
from worker.runner import Post

JOBS_A_MINUTE = 30
REAL_JOBS_AT_ONCE = 2
# On average; the moments are drawn, so that they fall everywhere.
KILL_S, REAL_KILL_S = 2.0, 15.0
SCHEDULER_S, REDIS_S, REDIS_AWAY_S = 45.0, 60.0, 3.0
WAYS = ["child"] * 9 + ["main"] * 4 + ["both"] * 5 + ["freeze"] * 2
CALM_LIMIT_S = 240.0
# Some seconds of work each, with a checkpoint each second.
REAL = {"epochs": 150, "batch_size": 1, "hidden": [{"units": 8, "dropout": 0.2}], "baselines": False}


@dataclass(frozen=True)
class Strike:
    """One harm, and the attempt that it hit, if the worker held one."""

    at: float
    worker: str
    way: str
    job: str | None
    fence: int | None


@dataclass
class Slot:
    """A process that is started again whenever it has died, as Docker does."""

    name: str
    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes] | None" = None

    def revive(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.process = self.start()


@dataclass
class Soak:
    """The harm, by one clock: every duty says when it is due again."""

    house: House
    minutes: float
    random: random.Random
    strikes: list[Strike] = field(default_factory=list)
    redis_kills: int = 0
    scheduler_kills: int = 0
    thaws: list[tuple[float, int]] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    real: list[str] = field(default_factory=list)
    redis_back_at: float | None = None

    def run(self) -> None:
        """Harm for so many minutes, then leave all in peace until every job has ended."""
        dataset = self._store_songs()
        self.scheduler = Slot("scheduler", self.house.scheduler)
        self.rehearsing = [self._slot(LIGHT, str(number), "tests.faults.worker") for number in (1, 2, 3)]
        self.training = self._slot(TRAIN, "1", "worker.app", "--queue", TRAIN)
        began = time.monotonic()
        duties: dict[Callable[[], None], tuple[float, Callable[[], float]]] = {
            self._submit: (0.0, lambda: 60 / JOBS_A_MINUTE),
            lambda: self._keep_training(dataset): (0.0, lambda: 1.0),
            self._strike: (5.0, lambda: self.random.expovariate(1 / KILL_S)),
            lambda: self._hit(self.training): (20.0, lambda: self.random.expovariate(1 / REAL_KILL_S)),
            self._kill_scheduler: (SCHEDULER_S / 2, lambda: SCHEDULER_S),
            self._kill_redis: (REDIS_S / 2, lambda: REDIS_S),
        }
        while time.monotonic() - began < self.minutes * 60:
            self._tend()
            for duty, (due, again_in) in list(duties.items()):
                if time.monotonic() - began >= due:
                    # A process that was frozen in the middle of a write holds SQLite's one lock: a client asks again.
                    with contextlib.suppress(Unavailable):
                        duty()
                        duties[duty] = (due + again_in(), again_in)
            # Finer than anything that is measured here.
            time.sleep(0.02)
        self._wait_for_the_end()

    def _slot(self, queue: str, slot: str, module: str, *arguments: str) -> Slot:
        def start() -> "subprocess.Popen[bytes]":
            return self.house.start(module, *arguments, "--slot", slot, ETUDE_CHECKPOINT_S="1")

        return Slot(workers.name_of(queue, slot), start)

    def _store_songs(self) -> str:
        house = self.house
        folder = house.settings.home / "songs"
        folder.mkdir()
        return working.store_dataset(
            Post(house.settings, house.database, house.storage, "nobody"), house.tenant, folder, rows=300
        )

    def _tend(self) -> None:
        for slot in (self.scheduler, *self.rehearsing, self.training):
            slot.revive()
        if self.redis_back_at is not None and time.monotonic() >= self.redis_back_at:
            self.redis_back_at = None
            self.house.start_redis()
        for due, pid in list(self.thaws):
            if time.monotonic() >= due:
                self.thaws.remove((due, pid))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _submit(self) -> None:
        steps = self.random.randint(20, 60)
        self.submitted.append(self.house.submit(is_rung=self.redis_back_at is None, steps=steps, step_s=0.1))

    def _keep_training(self, dataset: str) -> None:
        if sum(self.house.find(job).state not in ENDED for job in self.real) >= REAL_JOBS_AT_ONCE:
            return
        wanted = NewJob(
            tenant=self.house.tenant, action="train", kind="classification", queue=TRAIN, model="songs",
            datasets=[dataset], params={**REAL, "seed": len(self.real)},
        )  # fmt: skip
        with self.house.database.transaction() as sql:
            self.real.append(str(submit(sql, wanted).id))

    def _strike(self) -> None:
        self._hit(self.random.choice(self.rehearsing))

    def _hit(self, slot: Slot) -> None:
        if slot.process is None or slot.process.poll() is not None:
            return
        way = self.random.choice(WAYS)
        children = psutil.Process(slot.process.pid).children()
        with self.house.database.reading() as sql:
            mine = (jobs.c.state == RUNNING) & (jobs.c.lease_owner == slot.name)
            held = sql.execute(select(jobs.c.id, jobs.c.fence).where(mine)).first()
        job, fence = (None, None) if held is None else (held.id, held.fence)
        self.strikes.append(Strike(time.time(), slot.name, way, job, fence))
        if way == "freeze":
            for child in children:
                self._tell(child.pid, signal.SIGSTOP)
                lease_s = self.house.settings.lease_s
                self.thaws.append((time.monotonic() + self.random.uniform(0.5, 2.0) * lease_s, child.pid))
            return
        if way in ("child", "both"):
            for child in children:
                self._tell(child.pid, signal.SIGKILL)
        if way in ("main", "both"):
            slot.process.kill()
            slot.process.wait()

    def _tell(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _kill_scheduler(self) -> None:
        if self.scheduler.process is not None and self.scheduler.process.poll() is None:
            self.scheduler.process.kill()
            self.scheduler.process.wait()
            self.scheduler_kills += 1

    def _kill_redis(self) -> None:
        os.kill(self.house.redis_pid(), signal.SIGKILL)
        self.redis_kills += 1
        self.redis_back_at = time.monotonic() + REDIS_AWAY_S

    def _wait_for_the_end(self) -> None:
        until = time.monotonic() + CALM_LIMIT_S
        while time.monotonic() < until and self._count_open():
            self._tend()
            time.sleep(0.2)

    def _count_open(self) -> int:
        with self.house.database.reading() as sql:
            return len(sql.execute(select(jobs.c.id).where(jobs.c.state.not_in(ENDED))).all())

    def logs(self) -> list[Path]:
        return sorted(Path(self.house.settings.home).glob("*.log"))
