"""`python -m tests.faults --minutes 10`: the soak on both databases; prints its figures and writes docs/soak.md."""

import argparse
import dataclasses
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from migrations.upgrade import upgrade
from shared import ids, redis_server
from shared.database import Database, now
from shared.settings import read
from shared.storage import Storage
from shared.tables import tenants
from shared.tenancy import EVERYONE
from tests import postgres_server
from tests.conftest import PEPPER, ROOT_KEY
from tests.faults import oracle, soak_report
from tests.faults.house import House
from tests.faults.soak import Soak
from tests.faults.soak_report import Report

PAGE = Path("docs/soak.md")
HEAD = """# The soak

`make soak`: workers, the scheduler and Redis are killed and frozen for ten minutes on end, at drawn moments: one of
three rehearsing workers every 2 s on average, a training one every 15 s, Redis every minute, the scheduler every 45 s;
leases of 3 s, beats and ticks of half a second. A rehearsal is a job that needs no TensorFlow: steps of 0.1 s, each
with a checkpoint, whose result shows whether a step was left out or done twice. A real training is a network on a
table. Afterwards the seven conditions of `tests/faults/oracle.py` must hold.

Lost is a job that was accepted and has not ended, or has succeeded and left nothing; doubled is one with two effects,
or with one and no success. A job that is killed three times running before it has saved anything is given up, and says
so in its error: that is not lost. It happens to real trainings here, whose first seconds in a fresh process are long
beside a kill every 15 s.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    reports = []
    for sort in ("sqlite", "postgresql"):
        with a_house(sort) as house:
            print(f"{sort}: {arguments.minutes:g} minutes, seed {seed}", flush=True)
            reports.append(run(house, minutes=arguments.minutes, seed=seed))
            print(reports[-1].table(), end="\n\n", flush=True)
    write(reports, seed=seed)
    sys.exit(any(report.lost or report.doubled or report.wrong for report in reports))


def run(house: House, *, minutes: float, seed: int) -> Report:
    """Soak, count, and ask the oracle."""
    soak = Soak(house, minutes, random.Random(seed))
    soak.run()
    report = soak_report.make(soak)
    if not report.lost:
        oracle.check(house.settings, house.database, house.storage)
    return report


def write(reports: list[Report], *, seed: int) -> None:
    day = datetime.now(UTC).date().isoformat()
    tables = "\n\n".join(report.table() for report in reports)
    PAGE.write_text(f"{HEAD}\n## {day}, seed {seed}\n\n{tables}\n")


@contextmanager
def a_house(sort: str) -> Iterator[House]:
    """A house in a folder of its own, as the tests' fixture makes it."""
    with tempfile.TemporaryDirectory(prefix="etude-soak-") as folder:
        postgres = postgres_server.start() if sort == "postgresql" else None
        if postgres is not None:
            postgres.create_database("soak")
        database_url = f"sqlite:///{folder}/etude.db" if postgres is None else postgres.url("soak")
        upgrade(database_url)
        redis_url = redis_server.make_place(Path(folder) / "redis").celery_url
        chosen = read({
            "ETUDE_HOME": folder, "ETUDE_DATABASE_URL": database_url, "ETUDE_PEPPER": PEPPER,
            "ETUDE_ROOT_KEY": ROOT_KEY,
            "ETUDE_REDIS_URL": redis_url, "ETUDE_LOG_LEVEL": "warning",
        })  # fmt: skip
        chosen = dataclasses.replace(chosen, lease_s=3.0, beat_s=0.5, tick_s=0.5, checkpoint_s=1.0, port=0)
        database = Database(chosen, whose=EVERYONE)
        tenant = ids.new("ten")
        with database.transaction() as sql:
            sql.execute(insert(tenants).values(id=tenant, name=tenant, created_at=now()))
        house = House(chosen, database, Storage(chosen), tenant)
        try:
            house.start_redis()
            yield house
        finally:
            house.stop()
            database.close()
            if postgres is not None:
                postgres.stop()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
