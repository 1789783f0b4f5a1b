"""The database is locked, frozen or killed under a training: fault 17; and who is frozen while it writes: fault 14."""

import sqlite3
import time

import pytest

from shared.errors import Unavailable
from tests.faults.house import House, child_of
from tests.faults.points import FINISH
from tests.postgres_server import Server

# Longer than a lease, so that every lease has run out when the database is back.
AWAY_S = 5.0
SLOW = {"steps": 80, "step_s": 0.1, "checkpoint_every": 1000}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_17_a_locked_sqlite_costs_no_attempt(house: House) -> None:
    house.scheduler()
    house.worker()
    job = house.submit(**SLOW)
    house.wait_for_steps(job, 2)

    locker = sqlite3.connect(house.settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    end = time.monotonic() + AWAY_S
    house.wait(lambda: time.monotonic() > end)
    locker.execute("ROLLBACK")
    locker.close()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["succeeded"]


@pytest.mark.hostile("H61")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_17_a_frozen_postgresql_costs_no_attempt(house: House, postgres: Server) -> None:
    house.scheduler()
    house.worker()
    job = house.submit(**SLOW)
    house.wait_for_steps(job, 2)

    postgres.freeze()
    end = time.monotonic() + AWAY_S
    house.wait(lambda: time.monotonic() > end)
    postgres.thaw()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["succeeded"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_14_a_child_frozen_in_the_middle_of_a_write_holds_postgresql_for_no_longer_than_it_allows(house: House) -> None:
    house.scheduler()
    house.worker("1", FAULT_POINT=f"{FINISH}:before", FAULT_SIGNAL="SIGSTOP")
    job = house.submit(steps=2)
    house.wait(lambda: (house.settings.home / "point").exists())
    house.worker("2")

    # The frozen one still holds the job's row, until the server ends its session.
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["lost", "succeeded"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_14_a_child_frozen_in_the_middle_of_a_write_holds_sqlite_until_it_is_killed(house: House) -> None:
    """SQLite's one lock is the process's: nobody can take it away. Reading goes on."""
    house.scheduler()
    worker = house.worker("1", FAULT_POINT=f"{FINISH}:before", FAULT_SIGNAL="SIGSTOP")
    job = house.submit(steps=2)
    house.wait(lambda: (house.settings.home / "point").exists())
    held = house.find(job)
    with pytest.raises(Unavailable):
        house.submit()

    child_of(worker).kill()
    house.wait_for_end(job)

    assert held.state == "running"
    house.check(job)
    assert house.outcomes(job) == ["lost", "succeeded"]
