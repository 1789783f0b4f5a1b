"""The database is locked, frozen or killed under a training: fault 17."""

import sqlite3
import time

import pytest

from tests.faults.house import House
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
