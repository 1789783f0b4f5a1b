"""A worker dies, freezes or leaves in the middle of a job: faults 1, 2, 3, 14, 19 and 25."""

import signal

import pytest

from shared.jobs import retry
from tests.faults.house import House, child_of

# Slow enough to be hit in the middle, and a checkpoint after each step.
SLOW = {"steps": 12, "step_s": 0.15}


def test_1_a_killed_child_costs_one_attempt_and_no_lease(house: House) -> None:
    worker = house.worker()
    job = house.submit(**SLOW)
    house.wait_for_steps(job, 3)

    child_of(worker).kill()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["lost", "succeeded"]
    # No scheduler runs, so nobody has looked at leases: the main process saw it die, and told.
    assert house.attempts(job)[1].resumed_from["epoch"] >= 3


def test_2_a_worker_that_boots_again_gives_back_what_its_predecessor_held(house: House) -> None:
    first = house.worker("1")
    job = house.submit(**SLOW)
    house.wait_for_steps(job, 3)
    child = child_of(first)

    first.kill()
    child.kill()
    house.worker("1")
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["lost", "succeeded"]


def test_a_killed_workers_scratch_is_gone_once_it_starts_again(house: House) -> None:
    worker = house.worker("1")
    job = house.submit(**SLOW)
    house.wait_for_steps(job, 3)
    (left,) = (house.settings.home / "scratch").glob("light-1-*/job-*")
    (left / "table.parquet").write_text("a cell")
    child = child_of(worker)

    worker.kill()
    child.kill()
    modes = {path.stat().st_mode & 0o777 for path in (left, left.parent, left.parents[1])}
    lay_there = (left / "table.parquet").exists()
    house.worker("1")
    house.wait_for_end(job)

    assert lay_there and not left.exists()
    assert modes == {0o700}


@pytest.mark.hostile("H61")
def test_3_a_dead_workers_job_goes_to_an_idle_one_after_its_lease(house: House) -> None:
    house.scheduler()
    busy = house.worker("1")
    free = house.settings.home / "free"
    # However long the other one takes to boot.
    job = house.submit(steps=6, held_at=3, free=str(free))
    house.wait_for_steps(job, 3)
    house.worker("2")
    child = child_of(busy)

    busy.kill()
    child.kill()
    free.touch()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["lost", "succeeded"]
    lost, won = house.attempts(job)
    assert (lost.worker.split("@")[0], won.worker.split("@")[0]) == ("light-1", "light-2")


def test_14_a_frozen_child_that_wakes_up_publishes_nothing_and_ends_itself(house: House) -> None:
    house.scheduler()
    worker = house.worker("1")
    job = house.submit(**{**SLOW, "steps": 30})
    house.wait_for_steps(job, 2)
    frozen = child_of(worker)

    frozen.send_signal(signal.SIGSTOP)
    house.worker("2")
    house.wait_for_end(job)
    frozen.send_signal(signal.SIGCONT)

    # It finds its claim gone and takes the next job, or is gone; either way its attempt has written nothing more.
    next_job = house.submit(steps=1)
    house.wait_for_end(next_job)
    house.check(job, next_job)
    assert house.outcomes(job) == ["lost", "succeeded"]


def test_19_a_job_that_kills_its_worker_is_given_up_after_three_times(house: House) -> None:
    house.scheduler()
    house.worker()
    poison = house.submit(kill_at=0)
    next_job = house.submit()

    row, _ = house.wait_for_end(poison, next_job)

    house.check(next_job)
    assert (row.state, row.error["code"]) == ("failed", "worker_lost")
    assert house.outcomes(poison) == ["lost", "lost", "lost"]


def test_19_a_job_that_makes_progress_between_its_deaths_is_not_given_up(house: House) -> None:
    house.scheduler()
    worker = house.worker()
    job = house.submit(**{**SLOW, "steps": 20})

    for deaths in range(1, 5):
        house.wait(
            lambda deaths=deaths: len(house.outcomes(job)) == deaths and len(house.checkpoints(job)) >= 2 * deaths
        )
        child_of(worker).kill()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == [*["lost"] * 4, "succeeded"]


def test_25_a_leaving_worker_gives_its_job_back_with_all_that_was_done(house: House) -> None:
    house.scheduler()
    leaving = house.worker("1")
    job = house.submit(steps=60, step_s=0.1, checkpoint_every=1000)
    house.wait_for_steps(job, 3)

    leaving.terminate()
    assert house.wait_for_exit(leaving) is not None
    given_back = house.find(job)
    house.worker("2")
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["drained", "succeeded"]
    assert given_back.losses == 0
    assert given_back.checkpoint["at"]["epoch"] >= 3


def test_a_failed_job_that_is_retried_goes_on_from_its_last_checkpoint_under_its_own_id(house: House) -> None:
    house.worker()
    once = str(house.settings.home / "once")
    job = house.submit(steps=6, fail_at=4, once=once)
    house.wait_for_end(job)
    failed = house.find(job)

    with house.database.transaction() as sql:
        retry(sql, house.tenant, job)
    house.ring()
    house.wait_for_end(job)

    assert (failed.state, failed.error["code"]) == ("failed", "rehearsed")
    assert house.outcomes(job) == ["failed", "succeeded"]
    assert house.attempts(job)[1].resumed_from == {"epoch": 4}
    house.check(job)


def test_the_trace_of_what_nobody_foresaw_is_in_the_workers_log_under_the_jobs_id(house: House) -> None:
    house.worker()
    job = house.submit(break_at=1)

    (row,) = house.wait_for_end(job)

    assert (row.state, row.error["code"]) == ("failed", "internal")
    assert job in row.error["detail"]
    told = [line for line in house.whole_logs().splitlines() if job in line and "RuntimeError" in line]
    # Where it was, and nothing of its words: they may quote what a client has sent.
    assert len(told) == 1 and "rehearsal.py" in told[0] and "at step 1" not in told[0]


def test_the_attempt_after_a_loss_saves_at_its_first_step_without_waiting_for_the_interval(house: House) -> None:
    worker = house.worker()
    job = house.submit(steps=8, step_s=0.15, checkpoint_every=100)
    house.wait_for_steps(job, 3)
    unsaved = house.checkpoints(job)

    child_of(worker).kill()
    house.wait_for_end(job)

    assert (unsaved, house.checkpoints(job)) == ([], [1])
    house.check(job)
