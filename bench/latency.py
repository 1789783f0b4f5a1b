"""From a submission to its start on an idle worker, against bare Celery: same machine, same Redis."""

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

from bench import textbook
from bench.measurement import Measurement, compare
from bench.service import Json, Service, running, wait_until
from shared import redis_server
from shared.processes import die_with_parent

TIMES = 20
# Between two, so that every worker is idle again.
IDLE_S = 0.2


def measure(rounds: int) -> list[Measurement]:
    pairs = []
    with redis() as url, running(ETUDE_REDIS_URL=url) as service, celery(url) as start:
        wanted = textbook.job(service.upload("textbook", textbook.table(), target="genre"))
        service.training_child()
        take(service, wanted)
        for _ in range(rounds):
            both = [(take(service, wanted), start()) for _ in range(TIMES)]
            pairs.append((median(ours for ours, _ in both) * 1e3, median(peer for _, peer in both) * 1e3))
    note = f"medians of {TIMES} a round; ours until the claim in SQL, Celery's until the task's first line"
    return [compare("submit to start, idle worker, against Celery's delay", pairs, unit="ms", bar="≤ 3", note=note)]


def take(service: Service, wanted: Json) -> float:
    """Seconds from the moment before the POST to the claim."""
    time.sleep(IDLE_S)
    sent = time.time()
    job = service.finish(service.submit(wanted))
    return datetime.fromisoformat(job["started_at"]).timestamp() - sent


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis of our own, in memory, as both sides use it."""
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        place = redis_server.make_place(Path(folder))
        process = subprocess.Popen(
            redis_server.arguments(redis_server.find_binary(), place),
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        try:
            redis_server.wait_ready(place)
            yield place.celery_url
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def celery(url: str) -> Iterator[Callable[[], float]]:
    """A Celery worker with its defaults; call for the seconds from `delay` to the task's first line."""
    broker = url.replace("virtual_host=0", "virtual_host=1")
    os.environ["PEER_BROKER"] = broker
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "bench.peers.celery_app", "worker", "--loglevel", "ERROR"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    note = importlib.import_module("bench.peers.celery_app").note
    with tempfile.NamedTemporaryFile("r", prefix="etude-bench-") as file:

        def start() -> float:
            time.sleep(IDLE_S)
            before = Path(file.name).stat().st_size
            sent = time.time()
            note.delay(file.name)
            wait_until(lambda: Path(file.name).stat().st_size > before, limit_s=30)
            return float(file.readline()) - sent

        try:
            start()
            yield start
        finally:
            process.terminate()
            process.wait()
