"""Memory, disk and time come to an end in the middle of a job: faults 20 and 29, and attempts that stall."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from shared.queue import TRAIN
from shared.tables import chunks, versions
from tests.faults.house import House, child_of
from tests.faults.test_interrupted import is_up, outputs_of, post_of, submit_job
from tests.waiting import until
from tests.worker import canonical, working

GROUPS = Path("/sys/fs/cgroup/memory")
ROOM_BYTES = 600 * 2**20
MiB = 2**20


@pytest.fixture
def group(house: House) -> Iterator[Path | None]:
    """A control group with little memory; None where this user may make none, or the kernel has version 2 alone."""
    folder = GROUPS / f"etude-{house.settings.home.name}-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(ROOM_BYTES))
    except OSError:
        yield None
        return
    yield folder
    house.stop()
    # The kernel takes a moment to see that its processes are gone.
    assert until(lambda: has_removed(folder))


def has_removed(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def test_20_a_job_that_takes_all_memory_fails_as_oom_and_the_next_one_runs(house: House, group: Path | None) -> None:
    counter = house.settings.home / "memory.events"
    counter.write_text("oom_kill 0\n")
    if group is not None:
        worker, stand_in = house.worker(FAULT_GROUP=str(group)), {}
    else:
        # The job does what the kernel would: it counts, and kills.
        worker, stand_in = house.worker(FAULT_COUNTER=str(counter)), {"counter": str(counter)}
    hungry = house.submit(hungry_at=0, **stand_in)
    modest = house.submit(steps=3)

    house.wait_for_end(hungry, modest)

    row = house.find(hungry)
    assert (row.state, row.error["code"], row.error["retryable"]) == ("failed", "oom", True)
    assert house.outcomes(hungry) == ["lost"] * 3
    assert worker.is_running()
    house.check(modest)


@pytest.mark.hostile("H61")
def test_29_a_disk_that_fills_up_at_a_checkpoint_costs_nothing_that_was_saved(house: House) -> None:
    house.scheduler()
    worker = house.worker()
    job = house.submit(steps=8, step_s=0.1, padded_from=5, padding_bytes=64 * MiB)
    child = child_of(worker)
    # No file of the process may grow beyond this: the kernel answers as it does when the disk is full.
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (32 * MiB, resource.RLIM_INFINITY))

    house.wait(lambda: house.outcomes(job) == ["repeated"])
    failed = house.attempts(job)[0]
    left = house.find(job).checkpoint
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    house.wait_for_end(job)

    assert (failed.error["code"], failed.error["retryable"]) == ("storage_full", True)
    assert left["at"] == {"epoch": 4}
    assert house.attempts(job)[1].resumed_from == {"epoch": 4}
    house.check(job)


def test_29_a_disk_that_fills_up_while_a_scoring_is_put_together_blames_no_row(house: House, tmp_path: Path) -> None:
    house.scheduler()
    # One child for all of it: the limit below is that process's.
    kept = {"ETUDE_CHILD_GROWTH_BYTES": str(2**40), "ETUDE_CHUNK_ROWS": "20000"}
    worker = psutil.Process(house.start("worker.app", "--queue", TRAIN, "--slot", "1", **kept).pid)
    house.wait(lambda: is_up(house, worker))
    dataset = working.store_dataset(post_of(house), house.tenant, tmp_path)
    trained = submit_job(house, dataset, action="train", model="songs", params=working.SHORT)
    (tmp_path / "catalogue").mkdir()
    table = canonical.write(tmp_path / "catalogue", canonical.music(100_000), id="piece", part_rows=20_000)
    catalogue = working.store_parts(post_of(house), house.tenant, *table)
    house.wait_for_end(trained)
    with house.database.reading() as sql:
        version = sql.execute(select(versions.c.id).where(versions.c.job == trained)).scalar_one()
    scoring = {"action": "score", "model": "songs", "version": version}
    alone = submit_job(house, catalogue, **scoring)
    house.wait_for_end(alone)
    child = child_of(worker)
    # A chunk is smaller than this, the predictions of all are larger.
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (6 * MiB, resource.RLIM_INFINITY))

    job = submit_job(house, catalogue, **scoring)
    house.wait(lambda: house.outcomes(job) == ["repeated"])
    error, half = house.attempts(job)[0].error, outputs_of(house, job)
    with house.database.reading() as sql:
        losses = set(sql.execute(select(chunks.c.losses).where(chunks.c.job == job)).scalars())
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    house.wait_for_end(job)

    assert (error["code"], error["retryable"]) == ("disk_full", True)
    assert (half, losses) == ({}, {0})
    assert house.outcomes(job) == ["repeated", "succeeded"]
    assert outputs_of(house, job) == outputs_of(house, alone)
    assert house.find(job).result["errors"] == 0
    assert child_of(worker).pid == child.pid
    house.check_oracle()


def test_an_attempt_that_does_not_move_ends_as_stalled_and_is_made_up_for(house: House) -> None:
    house.worker(ETUDE_STALL_S="1", FAULT_GRACE_S="1")
    once = str(house.settings.home / "once")
    job = house.submit(steps=5, stuck_at=2, stuck_s=600, once=once)
    behind = house.submit(steps=2)

    house.wait_for_end(job, behind)

    assert house.outcomes(job) == ["stalled", "succeeded"]
    stalled, repeated = house.attempts(job)
    assert stalled.error["code"] == "stalled" and "ETUDE_STALL_S" in stalled.error["detail"]
    assert repeated.resumed_from == {"epoch": 2}
    house.check(job, behind)


def test_a_job_that_stalls_each_time_fails_and_lets_the_next_one_run(house: House) -> None:
    house.worker(ETUDE_STALL_S="1", FAULT_GRACE_S="1")
    job = house.submit(steps=5, stuck_at=0, stuck_s=600)
    behind = house.submit(steps=2)

    house.wait_for_end(job, behind)

    row = house.find(job)
    assert (row.state, row.error["code"]) == ("failed", "stalled")
    assert house.outcomes(job) == ["stalled"] * 3
    house.check(behind)
