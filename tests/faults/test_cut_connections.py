"""Fault 18: the database is cut off in the middle of the transaction that ends a job.

That the process dies there is fault 15 (test_crash_points.py, around the finish).
"""

import resource

import psutil
import pytest

from tests.faults.house import House, child_of
from tests.faults.points import FINISH
from tests.faults.wire import Wire

WAITING = "waiting_for_the_database"
# SQLite writes a commit as pages of 4 KiB into its log, each with a head: not even one fits. What the process says
# into its own log does.
FILE_BYTES = 4096


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("is_delivered", [False, True], ids=["commit", "answer"])
def test_18_a_connection_cut_at_the_finish_leaves_one_effect(house: House, is_delivered: bool) -> None:
    """The COMMIT is lost; or it is done, and only the answer is lost, so that the worker cannot know."""
    wire = Wire(house.settings.database_url, is_delivered=is_delivered)
    house.worker(ETUDE_DATABASE_URL=wire.database_url)

    job = house.submit(steps=2)
    house.wait_for_end(job)
    # It has found its job ended, or ended it, and is free for another one.
    next_job = house.submit(steps=2)
    house.wait_for_end(next_job)

    assert wire.is_cut.is_set() and WAITING in house.logs()
    assert ("claim_lost" in house.logs()) == is_delivered
    house.check(job, next_job)
    assert house.outcomes(job) == ["succeeded"]
    house.stop()
    wire.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_18_a_sqlite_that_cannot_write_the_commit_gets_it_whole_later(house: House) -> None:
    """SQLite has no connection to cut; a disk that takes nothing more is what can come between it and its commit."""
    worker = house.worker(FAULT_POINT=f"{FINISH}:before", FAULT_SIGNAL="SIGSTOP")
    job = house.submit(steps=2)
    child = child_of(worker)
    house.wait(lambda: child.status() == psutil.STATUS_STOPPED)
    allowed = child.rlimit(psutil.RLIMIT_FSIZE)

    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, allowed[1]))
    child.resume()
    house.wait(lambda: WAITING in house.logs())
    row, made = house.find(job), house.versions(job)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, allowed)
    house.wait_for_end(job)

    assert (row.state, made) == ("running", [])
    house.check(job)
    assert house.outcomes(job) == ["succeeded"]
