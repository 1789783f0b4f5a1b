"""Fault 37: for a while an old worker runs beside a new API, which accepts what that worker does not know."""

from tests.faults.house import House, child_of

NEW_KIND = "harmonisation"


def test_37_a_job_of_an_unknown_kind_waits_for_a_worker_that_knows_it(house: House) -> None:
    house.scheduler()
    old = house.worker("1")
    child = child_of(old)

    # First in the queue, and rung for, so that the old worker meets it before each of the others.
    new_job = house.submit(kind=NEW_KIND)
    known = [house.submit() for _ in range(10)]
    house.wait_for_end(*known)
    left_alone = house.find(new_job)
    house.worker("2", FAULT_KINDS=NEW_KIND)
    house.wait_for_end(new_job)

    assert (left_alone.state, left_alone.attempt) == ("queued", 0)
    # Nor did it take the job for another tenant's, and make place for a fresh child.
    assert child_of(old).pid == child.pid
    house.check(new_job, *known)
    (attempt,) = house.attempts(new_job)
    assert (attempt.worker.split("@")[0], attempt.outcome) == ("light-2", "succeeded")
