"""Redis dies, freezes, forgets or is full; rings are lost or doubled: faults 4, 5, 7, 8, 12, 13 and 27."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from redis import Redis
from sqlalchemy import select

from shared import queue
from shared.queue import LIGHT
from shared.tables import attempts
from tests.faults.house import House, child_of

QUICK = {"steps": 2}
SLOW = {"steps": 20, "step_s": 0.15}


def redis_of(house: House) -> Redis:
    return queue.connect(house.settings)


@pytest.mark.hostile("H61")
@pytest.mark.parametrize("is_persistent", [True, False], ids=["persistent", "forgetful"])
def test_4_a_killed_redis_loses_no_job_and_disturbs_none_whatever_it_kept(house: House, is_persistent: bool) -> None:
    house.scheduler()
    house.worker()
    running = house.submit(**SLOW)
    house.wait_for_steps(running, 2)
    waiting = [house.submit(**QUICK) for _ in range(20)]

    os.kill(house.redis_pid(), signal.SIGKILL)
    house.wait_for_steps(running, 6)
    house.start_redis(is_persistent=is_persistent)
    house.wait_for_end(running, *waiting)

    house.check(running, *waiting)
    assert house.outcomes(running) == ["succeeded"]
    assert all(house.outcomes(job) == ["succeeded"] for job in waiting)


def test_5_a_frozen_redis_costs_no_attempt(house: House) -> None:
    house.scheduler()
    house.worker()
    running = house.submit(**SLOW)
    house.wait_for_steps(running, 2)
    frozen = house.redis_pid()

    os.kill(frozen, signal.SIGSTOP)
    waiting = [house.submit(**QUICK, is_rung=False) for _ in range(3)]
    house.wait_for_end(running)
    os.kill(frozen, signal.SIGCONT)
    house.wait_for_end(*waiting)

    house.check(running, *waiting)
    assert house.outcomes(running) == ["succeeded"]


def test_7_a_wiped_redis_loses_no_job(house: House) -> None:
    house.scheduler()
    house.worker()
    jobs = [house.submit(**QUICK, step_s=0.05) for _ in range(20)]

    with redis_of(house) as redis:
        for count in (5, 12):
            house.wait(lambda count=count: house.count("succeeded") >= count)
            redis.flushall()
    house.wait_for_end(*jobs)

    house.check(*jobs)


def test_8_a_full_redis_delays_and_loses_nothing(house: House) -> None:
    house.scheduler()
    house.worker()
    running = house.submit(**SLOW)
    house.wait_for_steps(running, 2)
    with redis_of(house) as redis:
        redis.config_set("maxmemory", "1")
        # The scheduler may have rung for the running job before it was claimed.
        lying = queue.count_rings(house.settings, LIGHT)

        jobs = [house.submit(**QUICK) for _ in range(5)]
        house.wait_for_steps(running, 12)
        assert queue.count_rings(house.settings, LIGHT) <= lying
        redis.config_set("maxmemory", "0")
        house.wait_for_end(running, *jobs)

    house.check(running, *jobs)
    assert house.outcomes(running) == ["succeeded"]


def test_12_fifty_rings_for_one_job_make_one_attempt(house: House) -> None:
    house.worker("1")
    house.worker("2")
    job = house.submit(**QUICK, is_rung=False)

    house.ring(50)
    house.wait_for_end(job)
    house.wait(lambda: queue.count_rings(house.settings, LIGHT) == 0)

    house.check(job)
    with house.database.reading() as sql:
        assert len(sql.execute(select(attempts.c.fence)).all()) == 1


def test_13_a_ring_that_is_delivered_again_while_its_job_runs_starts_nothing(house: House, tmp_path: Path) -> None:
    """Late acknowledgement, and a visibility timeout that is long over before the job is."""
    for slot in ("1", "2"):
        house.worker(slot, FAULT_VISIBLE="2")
    free = tmp_path / "free"
    job = house.submit(**QUICK, held_at=1, free=str(free))

    # Delivered again, to the other worker, which finds nothing to claim.
    house.wait(lambda: house.count_rings(redelivered=True) >= 1)
    house.wait(lambda: queue.count_rings(house.settings, LIGHT) == 0)
    free.touch()
    house.wait_for_end(job)

    house.check(job)
    assert house.outcomes(job) == ["succeeded"]


def test_27_without_a_scheduler_what_was_rung_runs_and_the_rest_once_it_is_back(house: House) -> None:
    worker = house.worker()
    rung, silent = house.submit(**QUICK), house.submit(**QUICK, is_rung=False)
    house.wait_for_end(rung)
    # The child that ends a job looks for the next one.
    house.wait_for_end(silent)
    for _ in range(5):
        lonely = house.submit(**QUICK, is_rung=False)
        child = child_of(worker)
        if house.find(lonely).state == "queued":
            break
        # It came while the child still looked for the next one.
        house.wait_for_end(lonely)

    assert psutil.pid_exists(child.pid)
    assert house.find(lonely).state == "queued"
    house.scheduler()
    house.wait_for_end(lonely, limit_s=15.0)

    house.check(rung, silent, lonely)
