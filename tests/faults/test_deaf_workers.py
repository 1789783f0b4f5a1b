"""A worker whose connection to Redis is cut where nobody tells it: fault 38."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.black_hole import BlackHole
from tests.faults.house import House, child_of
from worker.presence import EXIT_DEAF

QUICK = {"steps": 3}


@pytest.fixture
def hole(house: House) -> Iterator[BlackHole]:
    path = Path(house.settings.redis_url.removeprefix("redis+socket://").partition("?")[0])
    # A socket path is at most 107 bytes long.
    with tempfile.TemporaryDirectory() as folder:
        made = BlackHole(Path(folder) / "hole", path)
        yield made
        made.close()


def test_38_a_deaf_worker_ends_itself_and_its_successor_does_the_work(house: House, hole: BlackHole) -> None:
    redis_url = f"redis+socket://{hole.path}?virtual_host=0"
    house.scheduler()
    worker = house.worker(ETUDE_REDIS_URL=redis_url, FAULT_DEAF_S="5")
    heard = house.submit(**QUICK)
    house.wait_for_end(heard)
    child = child_of(worker)

    hole.swallow()
    job = house.submit(**QUICK)
    assert house.wait_for_exit(worker) == EXIT_DEAF
    house.wait(lambda: not child.is_running())
    # As make up and Docker do.
    house.worker(ETUDE_REDIS_URL=redis_url, FAULT_DEAF_S="5")
    house.wait_for_end(job)

    house.check(heard, job)
    assert house.outcomes(job) == ["succeeded"]


def test_38_an_idle_worker_is_not_taken_for_deaf(house: House) -> None:
    house.scheduler()
    worker = house.worker(FAULT_DEAF_S="0.1")
    first = house.submit(**QUICK)
    house.wait_for_end(first)
    before = house.beat_at()

    house.wait(lambda: house.beat_at() > before + 3.0)

    assert worker.is_running()
    house.check(first)
