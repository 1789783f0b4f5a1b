"""A backup is taken in the middle of everything, and the service goes on from it on another machine: fault 40."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, create_engine, select

from shared import ids, redis_server
from shared.backup import manifest
from shared.database import Database
from shared.jobs import RUNNING
from shared.storage import Storage
from shared.tables import attempts, jobs
from shared.tenancy import EVERYONE
from tests import postgres_server
from tests.faults.house import House

# What happens while the copy is made.
BUSY, POSTED_MEANWHILE = 20, 10
HELD_AT = 3


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> Iterator[House]:
    """Another machine, where nothing is yet."""
    home = tmp_path / "elsewhere"
    url, keys_url = f"sqlite:///{home}/etude.db", f"sqlite:///{home}/keys.db"
    if request.param == "postgresql":
        server: postgres_server.Server = request.getfixturevalue("postgres")
        name = ids.new("ds")
        server.create_database(name)
        url = keys_url = server.url(name)
    redis_url = redis_server.make_place(home / "redis").celery_url
    chosen = dataclasses.replace(
        house.settings, home=home, database_url=url, keys_url=keys_url, redis_url=redis_url,
        storage_url=f"file://{home}/storage",
    )  # fmt: skip
    made = House(chosen, Database(chosen, whose=EVERYONE), Storage(chosen), house.tenant)
    yield made
    made.stop()
    made.database.close()


def test_40_a_backup_under_load_is_restored_and_what_ran_runs_once_more(
    house: House, elsewhere: House, tmp_path: Path
) -> None:
    folder, free = tmp_path / "backup", tmp_path / "free"
    house.scheduler()
    house.worker("1")
    held = house.submit(steps=6, held_at=HELD_AT, free=str(free))
    house.wait_for_steps(held, HELD_AT)
    house.wait(lambda: len(house.checkpoints(held)) == HELD_AT)
    house.worker("2")
    for _ in range(BUSY):
        house.submit(steps=8, step_s=0.01)
    house.wait(lambda: house.count("succeeded") > 0)

    taking = house.start("shared.backup", "save", str(folder))
    for _ in range(POSTED_MEANWHILE):
        house.submit(steps=2)
    house.wait(lambda: taking.poll() is not None)
    free.touch()
    house.wait_for_end(*house.every_job())
    house.check(*house.every_job())
    house.stop()
    putting = elsewhere.start("shared.backup", "restore", str(folder))
    elsewhere.wait(lambda: putting.poll() is not None)
    elsewhere.start_redis()
    elsewhere.scheduler()
    elsewhere.worker("1")
    elsewhere.wait_for_end(*elsewhere.every_job())

    assert (taking.returncode, putting.returncode) == (0, 0), elsewhere.logs()
    elsewhere.check(*elsewhere.every_job())
    assert len(elsewhere.every_job()) == manifest.read(folder).rows["jobs"] > BUSY
    ran = attempts_that_ran(folder)
    assert held in ran
    for job, tried in ran.items():
        before = [row.outcome for row in tried[:-1]]
        assert elsewhere.outcomes(job) == [*before, "lost", "succeeded"]
    assert elsewhere.attempts(held)[-1].resumed_from["epoch"] == HELD_AT


def attempts_that_ran(folder: Path) -> dict[str, list[Row[Any]]]:
    """The jobs that were running at the moment of the backup, and the attempts that each had had."""
    engine = create_engine(f"sqlite:///{folder}/etude.db")
    with engine.connect() as sql:
        chosen = select(attempts).join(jobs, jobs.c.id == attempts.c.job).where(jobs.c.state == RUNNING)
        found: dict[str, list[Row[Any]]] = {}
        for row in sql.execute(chosen.order_by(attempts.c.job, attempts.c.fence)):
            found.setdefault(row.job, []).append(row)
    engine.dispose()
    return found
