"""The scheduler's tick, and a claim, with ten thousand jobs in the queue of one SQLite file."""

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import insert

from bench.measurement import Measurement, compare
from migrations.upgrade import upgrade
from shared import claims, ids, jobs, redis_server, settings
from shared.claims import Skills
from shared.database import Database, now
from shared.jobs import NewJob
from shared.processes import die_with_parent
from shared.queue import TRAIN
from shared.settings import Settings
from shared.tables import tenants
from shared.tenancy import EVERYONE
from worker.tick import Tick

QUEUED, TENANTS = 10_000, 10
TICKS, CLAIMS = 40, 40
# What is promised of a tick's 95th percentile; a claim is to be lost among what a job takes.
TICK_S, CLAIM_S = 0.2, 0.05
SKILLS = Skills(["train"], ["classification"])


def measure(rounds: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        place = redis_server.make_place(Path(folder) / "redis")
        argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=False)
        redis = subprocess.Popen(argv, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        redis_server.wait_ready(place)
        chosen = settings.read(
            {
                "ETUDE_HOME": folder,
                "ETUDE_PEPPER": "x" * 32,
                "ETUDE_ROOT_KEY": "4e" * 32,
                "ETUDE_REDIS_URL": place.celery_url,
            }
        )
        upgrade(chosen.database_url)
        database = Database(chosen, whose=EVERYONE)
        _fill(database)
        ticks = [_tick_p95(chosen) for _ in range(rounds)]
        taken = [_median_claim(database) for _ in range(rounds)]
        database.close()
        redis.kill()
        redis.wait()
    filled = f"{QUEUED:,} queued of {TENANTS} tenants, SQLite"
    return [
        _row("a tick of the scheduler, p95 of 40", ticks, TICK_S, filled),
        _row("a claim, median of 40", taken, CLAIM_S, filled),
    ]


def _row(name: str, seconds: list[float], limit_s: float, note: str) -> Measurement:
    rounds = [(each * 1000, limit_s * 1000) for each in seconds]
    return compare(f"{name}, against its limit", rounds, unit="ms", bar="≤ 1", note=note)


def _fill(database: Database) -> None:
    owners = [ids.new("ten") for _ in range(TENANTS)]
    with database.transaction() as sql:
        sql.execute(insert(tenants).values(created_at=now()), [{"id": owner, "name": owner} for owner in owners])
        for place in range(QUEUED):
            owner = owners[place % TENANTS]
            jobs.submit(sql, NewJob(owner, "train", TRAIN, kind="classification", model="m", expected_s=place % 100))


def _tick_p95(chosen: Settings) -> float:
    tick = Tick(chosen)
    took = []
    for _ in range(TICKS):
        began = time.perf_counter()
        tick.run_once()
        took.append(time.perf_counter() - began)
    tick.close()
    return quantiles(took, n=20, method="inclusive")[18]


def _median_claim(database: Database) -> float:
    took = []
    for _ in range(CLAIMS):
        with database.transaction() as sql:
            began = time.perf_counter()
            found = claims.claim_next(sql, TRAIN, worker="bench", skills=SKILLS, lease_s=30.0)
            took.append(time.perf_counter() - began)
            assert found is not None
            claims.release(sql, found, cost={})
    return median(took)
