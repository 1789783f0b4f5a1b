"""A worker's child: one tenant's data at a time, fresh when it has grown, never forked from a running TensorFlow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from shared import ids, jobs, queue
from shared.database import Database, now
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import tenants
from tests.worker import working
from worker import own_folder, process, runner
from worker.process import Child

UNTOUCHED = """
import sys
from tensorflow.python.eager import context
import worker.pipeline
assert "tensorflow" in sys.modules
# Made by the first operation: from then on there are threads that no forked child has.
assert context.context()._context_handle is None, "importing the pipeline ran an operation of TensorFlow"
"""
FORKED = """
import os, sys
import worker.pipeline
import numpy as np
child = os.fork()
if child == 0:
    from worker import device
    device.prepare()
    import tensorflow as tf
    total = float(tf.reduce_sum(tf.constant(np.ones(10, np.float32))))
    os._exit(0 if total == 10.0 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
LIGHT = """
import sys
from worker import app, intake, process, runner, sweep, tick
loaded = sorted(name for name in ("tensorflow", "keras") if name in sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize("script", [UNTOUCHED, FORKED, LIGHT], ids=["untouched", "forked", "light"])
def test_tensorflow_is_where_it_may_be(script: str) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}

    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)

    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def child(redis: Settings, database: Database, storage: Storage) -> Iterator[Child]:
    working.make_post(redis, database, storage)
    app = queue.celery_app(redis)
    made = Child(redis, app, "worker-1")
    yield made
    made.post.database.close()
    app.close()


def test_a_child_does_a_job_and_rings_for_the_next(child: Child, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(child.post, tenant, tmp_path)
    first, second = (working.submit(child.post, tenant, dataset) for _ in range(2))

    child.answer(queue.TRAIN)

    assert [working.find(child.post, job).state for job in (first, second)] == [jobs.SUCCEEDED, jobs.QUEUED]
    assert queue.count_rings(child.settings, queue.TRAIN) == 1
    assert not child.is_retiring


def test_another_tenants_job_waits_for_a_fresh_child(child: Child, tenant: str, tmp_path: Path) -> None:
    other = ids.new("ten")
    with child.post.database.transaction() as sql:
        sql.execute(insert(tenants).values(id=other, name=other, created_at=now()))
    mine, theirs = (tmp_path / name for name in ("mine", "theirs"))
    mine.mkdir(), theirs.mkdir()
    working.submit(child.post, tenant, working.store_dataset(child.post, tenant, mine))
    child.answer(queue.TRAIN)
    foreign = working.submit(child.post, other, working.store_dataset(child.post, other, theirs))

    child.answer(queue.TRAIN)

    assert working.find(child.post, foreign).state == jobs.QUEUED
    assert child.is_retiring
    assert queue.count_rings(child.settings, queue.TRAIN) == 1


def test_a_job_of_its_own_that_came_while_it_looked_needs_no_fresh_child(
    child: Child, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = working.store_dataset(child.post, tenant, tmp_path)
    working.submit(child.post, tenant, dataset)
    child.answer(queue.TRAIN)
    submitted = []

    def find_none_and_submit(*_: Any, **__: Any) -> None:
        submitted.append(working.submit(child.post, tenant, dataset))

    with monkeypatch.context() as patched:
        patched.setattr(runner, "claim_next", find_none_and_submit)
        child.answer(queue.TRAIN)
    was_retiring = child.is_retiring
    child.answer(queue.TRAIN)

    assert not was_retiring
    assert queue.count_rings(child.settings, queue.TRAIN) == 1
    assert working.find(child.post, submitted[0]).state == jobs.SUCCEEDED


def test_a_child_that_has_grown_makes_place(
    child: Child, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = working.store_dataset(child.post, tenant, tmp_path)
    sizes = iter([1_000_000_000, 1_000_000_000 + child.settings.child_growth_bytes, 2_000_000_000])
    monkeypatch.setattr(process, "resident_bytes", lambda: next(sizes))
    seen = []

    for _ in range(3):
        working.submit(child.post, tenant, dataset)
        child.answer(queue.TRAIN)
        seen.append(child.is_retiring)

    assert seen == [False, False, True]


KILLED = """
import sys, time
from pathlib import Path
from worker import own_folder
folder = own_folder.take(Path(sys.argv[1]), "answers")
(folder / "table").write_text("a listener")
print(folder, flush=True)
time.sleep(600)
"""


def test_a_killed_process_leaves_its_folder_to_the_next_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    command = [sys.executable, "-c", KILLED, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dead:
        assert dead.stdout is not None
        left = Path(dead.stdout.readline().strip())
        dead.kill()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as alive:
        assert alive.stdout is not None
        kept = Path(alive.stdout.readline().strip())

        mine = own_folder.take(place, "answers")

        assert not left.exists() and (kept / "table").exists()
        assert {path.stat().st_mode & 0o777 for path in (place, mine, kept)} == {0o700}
        alive.kill()


def test_what_a_killed_predecessor_left_is_removed(redis: Settings, database: Database, storage: Storage) -> None:
    post = working.make_post(redis, database, storage)
    left = post.scratch / "job-of-the-dead"
    left.mkdir(parents=True)

    made = Child(redis, queue.celery_app(redis), "worker-1")

    assert not left.exists()
    made.post.database.close()
    made.app.close()
