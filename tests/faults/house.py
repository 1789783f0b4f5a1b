"""A whole backstage of real processes, each of which a test may kill, freeze or cut off; the leases are a tenth."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Row, func, select

from shared import keys, queue, redis_server, workers
from shared.database import Database
from shared.jobs import ENDED, NewJob, submit
from shared.processes import die_with_parent
from shared.queue import LIGHT
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, events, jobs, versions
from shared.up import environment_of
from tests import nursery
from tests.faults import oracle, rehearsal
from tests.nursery import Process
from tests.ports import free_port
from tests.waiting import until
from tests.web.serving import Server

LIMIT_S = 60.0


@dataclass
class House:
    """Worker processes, schedulers and Redis around one database."""

    settings: Settings
    database: Database
    storage: Storage
    tenant: str
    processes: list[Process] = field(default_factory=list)
    # By their command lines, otherwise, as where their memory is measured.
    is_forked: bool = True

    def start(self, module: str, *arguments: str, **environment: str) -> Process:
        """One process, with these settings and these variables beside them."""
        with (self.settings.home / f"{module}-{len(self.processes)}.log").open("wb") as log:
            given = {**os.environ, **environment_of(self.settings), **environment}
            begin = nursery.start if self.is_forked and module in nursery.LATER else nursery.execute
            started: Process = begin(module, *arguments, env=given, stdout=log, stderr=log)
        self.processes.append(started)
        return started

    def worker(self, slot: str = "1", *, module: str = "tests.faults.worker", **environment: str) -> psutil.Process:
        """A worker that has booted and has a child."""
        process = psutil.Process(self.start(module, "--slot", slot, **environment).pid)
        name = workers.name_of(LIGHT, slot)

        def is_up() -> bool:
            assert process.is_running() and process.status() != psutil.STATUS_ZOMBIE, self.logs()
            with self.database.reading() as sql:
                pids = {row.name: row.pid for row in workers.every(sql)}
            return pids.get(name) == process.pid and bool(process.children())

        assert until(is_up), self.logs()
        return process

    def wait_for_exit(self, worker: psutil.Process) -> int | None:
        """The exit status of a worker's main process, once it has ended."""
        started = next(each for each in self.processes if each.pid == worker.pid)
        self.wait(lambda: started.poll() is not None)
        return started.poll()

    def beat_at(self, slot: str = "1") -> float:
        """When the main process of a worker last gave a sign of life, by the database's clock."""
        with self.database.reading() as sql:
            return next(float(row.beat_at) for row in workers.every(sql) if row.name == workers.name_of(LIGHT, slot))

    def scheduler(self) -> Process:
        return self.start("worker.tick")

    def web(self, **environment: str) -> Server:
        """A web process that answers, and a key to it."""
        with self.database.transaction() as sql:
            key = keys.create(sql, self.tenant, name="test", scope=keys.ADMIN, pepper=self.settings.pepper)
        port = free_port(self.settings.host)
        server = Server(port, key, self.start("tests.faults.web", **{"ETUDE_PORT": str(port), **environment}))
        self.wait(server.is_up)
        return server

    def start_redis(self, *, is_persistent: bool = False) -> None:
        """A new server at the place of one that was killed."""
        place = redis_server.make_place(self.settings.home / "redis")
        argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=is_persistent)
        self.processes.append(
            subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
        )
        redis_server.wait_ready(place)

    def submit(
        self, *, is_rung: bool = True, kind: str = "classification", model: str = "rehearsal", **params: Any
    ) -> str:
        """A rehearsal in the queue, rung for unless a test says otherwise."""
        with self.database.transaction() as sql:
            wanted = NewJob(
                tenant=self.tenant, action="train", kind=kind, queue=LIGHT, model=model,
                params={"steps": 5, **params},
            )  # fmt: skip
            job = str(submit(sql, wanted).id)
        if is_rung:
            self.ring()
        return job

    def ring(self, count: int = 1) -> None:
        app = queue.celery_app(self.settings)
        queue.send(app, LIGHT, count=count)
        app.close()

    def find(self, job: str) -> Row[Any]:
        with self.database.reading() as sql:
            return sql.execute(select(jobs).where(jobs.c.id == job)).one()

    def wait(self, is_true: Callable[[], object], *, limit_s: float = LIMIT_S) -> None:
        assert until(lambda: bool(is_true()), limit_s=limit_s), self.logs()

    def wait_for_steps(self, job: str, steps: int = 1) -> None:
        """Return once the job has told of so many steps."""
        self.wait(lambda: ((self.find(job).progress or {}).get("done") or 0) >= steps)

    def wait_for_end(self, *jobs_: str, limit_s: float = LIMIT_S) -> list[Row[Any]]:
        self.wait(lambda: all(self.find(job).state in ENDED for job in jobs_), limit_s=limit_s)
        return [self.find(job) for job in jobs_]

    def count(self, state: str) -> int:
        with self.database.reading() as sql:
            return int(sql.execute(select(func.count()).select_from(jobs).where(jobs.c.state == state)).scalar_one())

    def outcomes(self, job: str) -> list[str | None]:
        with self.database.reading() as sql:
            chosen = select(attempts.c.outcome).where(attempts.c.job == job).order_by(attempts.c.fence)
            return list(sql.execute(chosen).scalars())

    def attempts(self, job: str) -> list[Row[Any]]:
        with self.database.reading() as sql:
            return list(sql.execute(select(attempts).where(attempts.c.job == job).order_by(attempts.c.fence)).all())

    def versions(self, job: str) -> list[Row[Any]]:
        with self.database.reading() as sql:
            return list(sql.execute(select(versions).where(versions.c.job == job)).all())

    def checkpoints(self, job: str) -> list[int]:
        """The steps of the recorded checkpoints, in the order in which they were recorded."""
        with self.database.reading() as sql:
            told = select(events.c.data).where(events.c.job == job, events.c.type == "checkpoint")
            return [data["at"]["epoch"] for data in sql.execute(told.order_by(events.c.seq)).scalars()]

    def every_job(self) -> list[str]:
        with self.database.reading() as sql:
            return list(sql.execute(select(jobs.c.id).order_by(jobs.c.id)).scalars())

    def count_rings(self, *, redelivered: bool = False) -> int:
        """How many rings were ever sent, heard or not, as this Redis has counted them; or how often one came again."""
        command = "cmdstat_rpush" if redelivered else "cmdstat_lpush"
        with queue.connect(self.settings) as redis:
            return int(redis.info("commandstats").get(command, {"calls": 0})["calls"])

    def redis_pid(self) -> int:
        with queue.connect(self.settings) as redis:
            return int(redis.info("server")["process_id"])

    def check(self, *jobs_: str) -> None:
        """The oracle; and that each of these jobs ended as if nothing had happened."""
        oracle.check(self.settings, self.database, self.storage)
        for job in jobs_:
            row = self.find(job)
            assert row.state == "succeeded", (row.state, row.error, self.outcomes(job))
            assert row.result["digest"] == rehearsal.digest_after(rehearsal.count_steps(row.params))

    def check_oracle(self) -> None:
        oracle.check(self.settings, self.database, self.storage)

    def logs(self) -> str:
        """What the processes have said last, for the message of a failed test."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}"
            for path in sorted(Path(self.settings.home).glob("*.log"))
        )

    def whole_logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in Path(self.settings.home).glob("*.log"))

    def stop(self) -> None:
        """Kill what was started and still runs, frozen or not."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def child_of(worker: psutil.Process) -> psutil.Process:
    """The worker's child; waited for, since a new one takes some milliseconds."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        found = [each for each in worker.children() if each.status() != psutil.STATUS_ZOMBIE]
        if found:
            return found[0]
        # Forking takes 10 ms.
        time.sleep(0.005)
    raise TimeoutError("the worker has no child")
