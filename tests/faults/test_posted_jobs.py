"""Jobs come over HTTP while Redis is dead or the web process dies, or fifty times at once: faults 6, 9, 10 and 11."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared import queue
from shared.queue import LIGHT
from tests import factories
from tests.faults.house import House
from tests.faults.points import BELL
from tests.web.serving import LIMIT_S, Server

JOB = {"action": "train", "kind": "classification", "dataset": "songs", "params": {"epochs": 2}}
ONCE = {"Idempotency-Key": "once"}


@pytest.fixture(autouse=True)
def songs(house: House) -> None:
    """The dataset that the jobs name."""
    with house.database.transaction() as sql:
        factories.make_dataset(sql, house.tenant, name="songs", profile=factories.SONGS)


def post(server: Server, **headers: str) -> tuple[int, Any]:
    status, said, _ = server.call("POST", "/v1/jobs", JOB, **headers)
    return status, said


def test_6_jobs_that_come_while_redis_is_dead_are_accepted_and_run_once_it_is_back(house: House) -> None:
    house.scheduler()
    house.worker()
    server = house.web()

    os.kill(house.redis_pid(), signal.SIGKILL)
    answers = [post(server) for _ in range(50)]
    waiting = house.count("queued")
    house.start_redis()
    jobs = [said["id"] for _, said in answers]
    house.wait_for_end(*jobs)

    assert [status for status, _ in answers] == [202] * 50
    assert waiting == 50
    house.check(*jobs)
    assert all(house.outcomes(job) == ["succeeded"] for job in jobs)


def test_9_a_web_process_killed_before_it_rings_has_accepted_the_job(house: House) -> None:
    for _ in range(20):
        # A new one each time: what watches the killed one takes two deaths in 5 s for a reason to end itself.
        server = house.web(FAULT_POINT=f"{BELL}:before")
        with pytest.raises(ConnectionError):
            post(server)
        # With the successor that may have been started: it does not die with its parent yet.
        house.stop()
    accepted, rings = house.every_job(), house.count_rings()

    house.worker()
    house.scheduler()
    house.wait_for_end(*accepted)

    assert (len(accepted), rings) == (20, 0)
    house.check(*accepted)
    assert all(house.outcomes(job) == ["succeeded"] for job in accepted)


def test_10_a_web_process_killed_before_the_commit_has_accepted_nothing_and_the_repeat_makes_one_job(
    house: House,
) -> None:
    server = house.web(FAULT_POINT="work:commit:1:before")

    with pytest.raises(ConnectionError):
        post(server, **ONCE)
    left = house.every_job()
    house.wait(server.is_up)
    answers = [post(server, **ONCE) for _ in range(2)]

    assert left == []
    assert [status for status, _ in answers] == [202, 202]
    (job,) = house.every_job()
    assert [said["id"] for _, said in answers] == [job, job]
    house.worker()
    house.scheduler()
    house.wait_for_end(job)
    house.check(job)


def test_11_one_post_fifty_times_at_once_is_one_job(house: House) -> None:
    house.worker()
    server = house.web()
    start = threading.Barrier(50)

    def post_with_the_others(_: int) -> tuple[int, Any]:
        start.wait(LIMIT_S)
        return post(server, **ONCE)

    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(post_with_the_others, range(50)))

    (job,) = house.every_job()
    assert [(status, said.get("id")) for status, said in answers] == [(202, job)] * 50
    house.wait_for_end(job)
    house.wait(lambda: queue.count_rings(house.settings, LIGHT) == 0)
    house.check(job)
    assert house.outcomes(job) == ["succeeded"]
