"""A client ends a job, in every state and at every moment: faults 21 to 24."""

import threading

import pytest

from shared import jobs
from shared.errors import NotAllowedNow
from tests.faults.house import House, child_of
from worker import heart


def cancel(house: House, job: str) -> None:
    with house.database.transaction() as sql:
        jobs.cancel(sql, house.tenant, job)


def test_21_a_waiting_job_is_cancelled_at_once_and_later_rings_find_nothing(house: House) -> None:
    job = house.submit(is_rung=False)

    cancel(house, job)
    at_once = house.find(job).state
    house.worker()
    next_job = house.submit()
    house.ring(3)
    house.wait_for_end(next_job)

    assert at_once == "cancelled"
    assert house.outcomes(job) == []
    house.check(next_job)


def test_22_a_running_job_is_cancelled_at_a_beat_and_its_child_stays_warm(house: House) -> None:
    worker = house.worker()
    job = house.submit(steps=1000, step_s=0.05)
    house.wait_for_steps(job, 2)
    child = child_of(worker)

    cancel(house, job)
    house.wait_for_end(job)
    next_job = house.submit()
    house.wait_for_end(next_job)

    house.check(next_job)
    assert house.find(job).state == "cancelled"
    assert house.outcomes(job) == ["cancelled"]
    assert child_of(worker).pid == child.pid


def test_23_a_child_stuck_in_native_code_ends_itself_and_the_next_job_runs(house: House) -> None:
    house.scheduler()
    worker = house.worker()
    job = house.submit(steps=10, step_s=0.05, stuck_at=3, stuck_s=3600.0)
    house.wait_for_steps(job, 3)
    stuck = child_of(worker)

    cancel(house, job)
    house.wait_for_end(job, limit_s=heart.GRACE_S + 20)
    next_job = house.submit()
    house.wait_for_end(next_job)

    house.check(next_job)
    assert house.find(job).state == "cancelled"
    assert house.outcomes(job) == ["cancelled"]
    assert child_of(worker).pid != stuck.pid


def test_24_a_cancel_that_meets_the_finish_leaves_one_end(house: House) -> None:
    house.scheduler()
    house.worker()
    refused = 0

    for _ in range(40):
        job = house.submit(steps=1)
        chances = [threading.Event() for _ in range(2)]

        def race(job: str = job, chance: threading.Event = chances[0]) -> None:
            house.wait(lambda: house.find(job).stage in ("storing", "training") or house.find(job).state != "queued")
            try:
                cancel(house, job)
            except NotAllowedNow:
                chance.set()

        racing = threading.Thread(target=race)
        racing.start()
        racing.join(30)
        (row,) = house.wait_for_end(job)
        refused += chances[0].is_set()
        assert (row.state == "succeeded") == (len(house.versions(job)) == 1)
        assert row.state in ("succeeded", "cancelled")
        assert not (chances[0].is_set() and row.state == "cancelled")

    house.check()


@pytest.mark.parametrize("state", ["succeeded", "cancelled", "failed"])
def test_24_what_has_ended_cannot_be_cancelled(house: House, state: str) -> None:
    house.worker()
    job = house.submit(**({"fail_at": 0} if state == "failed" else {}), is_rung=state != "cancelled")
    if state == "cancelled":
        cancel(house, job)
    (row,) = house.wait_for_end(job)

    with pytest.raises(NotAllowedNow):
        cancel(house, job)

    assert (row.state, house.find(job).state) == (state, state)
