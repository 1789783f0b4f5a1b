"""How long it takes until work goes on after a death, with the default lease, on the service as its users start it."""

import os
import signal
import time
from typing import Any

from sqlalchemy import select

from bench import textbook
from bench.measurement import Measurement, compare
from bench.service import Json, Service, running, wait_until
from shared import settings
from shared.database import Database
from shared.processes import read_register
from shared.tables import attempts
from shared.tenancy import EVERYONE

# What is promised (docs/operations.md): a lease and a tick; a look at the child, a fork and a claim; an impatient ring;
# a tick and what the jobs take.
WORKER_S, CHILD_S, SUBMIT_S, RINGS_S = 40.0, 12.0, 1.5, 10.0
UNSENT = 20
START_LIMIT_S = 120.0
# Trains until it is told to stop.
ENDLESS = {"epochs": 100_000, "batch_size": 1, "early_stopping": False, "baselines": False}


def measure(rounds: int) -> list[Measurement]:
    with running(ETUDE_WORKERS="2", ETUDE_CHECKPOINT_S="1") as service:
        database = Database(settings.read({"ETUDE_HOME": str(service.home), "ETUDE_PEPPER": "x" * 32}), whose=EVERYONE)
        dataset = service.upload("textbook", textbook.table(), target="genre")
        wanted = textbook.job(dataset)
        endless = {**wanted, "params": {**wanted["params"], **ENDLESS}}
        children = [_time_a_killed_child(service, database, endless) for _ in range(rounds)]
        workers = [_time_a_killed_worker(service, database, endless) for _ in range(rounds)]
        frozen = [_time_frozen_submits(service, database, wanted) for _ in range(rounds)]
        database.close()
    submits, rings = ([pair[place] for pair in frozen] for place in (0, 1))
    return [
        _row("a worker's child killed, until the next attempt", children, CHILD_S, "SIGKILL in a training"),
        _row("a worker killed with another idle, until the next attempt", workers, WORKER_S,
             "SIGKILL to main and child, not started again; lease 30 s, tick 5 s"),
        _row("the longest of 20 submits with Redis frozen", submits, SUBMIT_S, "SIGSTOP; each answered 202"),
        _row("20 jobs whose rings were not sent, until all have begun", rings, RINGS_S, "from Redis' return on"),
    ]  # fmt: skip


def _row(name: str, seconds: list[float], limit_s: float, note: str) -> Measurement:
    return compare(f"{name}, against its limit", [(each, limit_s) for each in seconds], unit="s", bar="≤ 1", note=note)


def _time_a_killed_child(service: Service, database: Database, endless: Json) -> float:
    job = _begin(service, database, endless)
    child = _child_of(service, database, job)
    killed_at = time.time()
    os.kill(child, signal.SIGKILL)
    return _wait_for_the_next(service, database, job) - killed_at


def _time_a_killed_worker(service: Service, database: Database, endless: Json) -> float:
    job = _begin(service, database, endless)
    name = _name_of(database, job)
    child, main, supervisor = (
        _child_of(service, database, job),
        service.process(name).pid,
        service.process("supervisor"),
    )
    # Or it would start the worker again, which gives its work back at once.
    supervisor.suspend()
    try:
        killed_at = time.time()
        for pid in (main, child):
            os.kill(pid, signal.SIGKILL)
        return _wait_for_the_next(service, database, job) - killed_at
    finally:
        supervisor.resume()
        wait_until(lambda: read_register(service.home)[name] != main, limit_s=START_LIMIT_S)
        # It has a child once it has booted.
        wait_until(lambda: bool(service.process(name).children()), limit_s=START_LIMIT_S)


def _time_frozen_submits(service: Service, database: Database, wanted: Json) -> tuple[float, float]:
    """The longest submit, and how long after Redis is back until all have begun."""
    redis = service.process("redis")
    redis.suspend()
    took, jobs = [], []
    for _ in range(UNSENT):
        began = time.monotonic()
        jobs.append(service.submit(wanted))
        took.append(time.monotonic() - began)
    thawed_at = time.time()
    redis.resume()
    for job in jobs:
        service.finish(job)
    return max(took), max(_started(database, job)[0] for job in jobs) - thawed_at


def _begin(service: Service, database: Database, endless: Json) -> str:
    """A training that is under way and has saved a checkpoint."""
    job = service.submit(endless)
    wait_until(lambda: bool(_events(service, job)), limit_s=START_LIMIT_S)
    return job


def _events(service: Service, job: str) -> list[Json]:
    said: Json = service.call("GET", f"/v1/jobs/{job}/events?limit=200")
    return [event for event in said["data"] if event["type"] == "checkpoint"]


def _wait_for_the_next(service: Service, database: Database, job: str) -> float:
    """When its second attempt began; the training is then cancelled."""
    wait_until(lambda: len(_started(database, job)) == 2, limit_s=START_LIMIT_S)
    began = _started(database, job)[1]
    service.call("POST", f"/v1/jobs/{job}/cancel")
    wait_until(lambda: service.call("GET", f"/v1/jobs/{job}")["state"] == "cancelled", limit_s=START_LIMIT_S)
    return began


def _tried(database: Database, job: str) -> list[Any]:
    with database.reading() as sql:
        return list(sql.execute(select(attempts).where(attempts.c.job == job).order_by(attempts.c.fence)).all())


def _started(database: Database, job: str) -> list[float]:
    return [row.started_at for row in _tried(database, job)]


def _name_of(database: Database, job: str) -> str:
    """The process of the service that works on a job: its slot is in its name, train-1@host."""
    return "worker-" + str(_tried(database, job)[-1].worker).partition("@")[0].rpartition("-")[2]


def _child_of(service: Service, database: Database, job: str) -> int:
    return int(service.process(_name_of(database, job)).children()[0].pid)
