"""Rings: they arrive, they never keep anybody waiting, and there are never too many."""

import os
import signal
import threading
import time

import pytest

from shared import queue
from shared.queue import Bell
from shared.settings import Settings

LIMIT_S = 20.0


@pytest.fixture
def database_url(tmp_path: object) -> str:
    """Rings need none."""
    return "sqlite:///unused.db"


def wait_for_rings(settings: Settings, count: int) -> None:
    until = time.monotonic() + LIMIT_S
    while queue.count_rings(settings, queue.TRAIN) != count:
        assert time.monotonic() < until, queue.count_rings(settings, queue.TRAIN)
        time.sleep(0.02)


def test_a_ring_arrives(redis: Settings) -> None:
    Bell(redis).ring(queue.TRAIN)

    wait_for_rings(redis, 1)


def test_a_flood_of_rings_is_no_more_than_a_fleet_needs(redis: Settings) -> None:
    bell = Bell(redis)

    threads = [threading.Thread(target=lambda: [bell.ring(queue.TRAIN) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    wait_for_rings(redis, queue.RINGS_AT_ONCE)


def test_a_frozen_redis_keeps_nobody_waiting_and_hears_the_next_ring(redis: Settings) -> None:
    bell = Bell(redis)
    bell.ring(queue.TRAIN)
    wait_for_rings(redis, 1)
    with queue.connect(redis) as connection:
        pid = int(connection.info("server")["process_id"])
        connection.flushall()
    os.kill(pid, signal.SIGSTOP)
    ringing = threading.Thread(target=lambda: [bell.ring(queue.TRAIN) for _ in range(100)])

    ringing.start()
    ringing.join(LIMIT_S)
    is_free = not ringing.is_alive()
    os.kill(pid, signal.SIGCONT)
    bell.ring(queue.TRAIN)

    assert is_free
    until = time.monotonic() + LIMIT_S
    while queue.count_rings(redis, queue.TRAIN) == 0:
        assert time.monotonic() < until
        bell.ring(queue.TRAIN)
        time.sleep(0.1)


def test_without_redis_a_ring_fails_quietly_and_says_so(settings: Settings) -> None:
    app = queue.celery_app(settings)

    assert queue.send(app, queue.TRAIN) is False
    app.close()
