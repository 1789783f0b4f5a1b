"""What must hold after every fault, whatever it was (I1 to I7)."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, select

from shared import queue
from shared.database import Database
from shared.jobs import ENDED, SUCCEEDED
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, dataset_files, datasets, events, features, jobs, outputs, versions
from tests.waiting import until
from worker import sweep


def check(settings: Settings, database: Database, storage: Storage) -> None:
    """Raise AssertionError, naming the job, when one of the seven does not hold."""
    with database.reading() as sql:
        every = {row.id: row for row in sql.execute(select(jobs))}
        _every_job_has_ended(every)
        _one_version_a_success(sql, every)
        _attempts_do_not_overlap(sql)
        _events_end_where_the_row_is(sql, every)
    _no_file_is_left_over(database, storage)
    with queue.connect(settings) as redis:
        # A ring that found nothing to do may be under way still.
        assert until(lambda: redis.hlen("unacked") == 0), "I7: a message was delivered and never acknowledged"


def _every_job_has_ended(every: dict[str, Any]) -> None:
    open_ = {job: row.state for job, row in every.items() if row.state not in ENDED}
    assert not open_, f"I1: not every accepted job has ended: {open_}"


def _one_version_a_success(sql: Connection, every: dict[str, Any]) -> None:
    """I2 and I3: a training that succeeded has one version, nothing else has one, and its attempt was the last."""
    trained = {job for job, row in every.items() if row.action == "train" and row.state == SUCCEEDED}
    made = sql.execute(select(versions.c.job, versions.c.fence)).all()
    assert sorted(row.job for row in made) == sorted(trained), "I2: versions and succeeded trainings differ"
    fences: dict[str, list[int]] = defaultdict(list)
    for row in sql.execute(select(attempts.c.job, attempts.c.fence)):
        fences[row.job].append(row.fence)
    for row in made:
        assert row.fence == max(fences[row.job]), f"I3: {row.job} was published by an attempt that was superseded"


def _attempts_do_not_overlap(sql: Connection) -> None:
    """I4: an attempt's last sign of life lies before the next one's start."""
    by_job: dict[str, list[Any]] = defaultdict(list)
    for row in sql.execute(select(attempts).order_by(attempts.c.job, attempts.c.fence)):
        by_job[row.job].append(row)
    for job, tried in by_job.items():
        assert all(row.ended_at is not None for row in tried), f"I4: an attempt of {job} has no end"
        for before, after in pairwise(tried):
            assert max(before.beat_at, before.ended_at) <= after.started_at, f"I4: attempts of {job} overlap"
        assert [row.number for row in tried] == list(range(1, len(tried) + 1)), (
            f"I4: attempts of {job} are not numbered"
        )


def _events_end_where_the_row_is(sql: Connection, every: dict[str, Any]) -> None:
    told: dict[str, list[Any]] = defaultdict(list)
    for row in sql.execute(select(events).order_by(events.c.job, events.c.seq)):
        told[row.job].append(row)
    for job, row in every.items():
        states = [event.data["state"] for event in told[job] if event.type == "state"]
        assert states[0] == "queued" and states[-1] == row.state, f"I5: {job} is {row.state}, its events say {states}"
        assert [event.seq for event in told[job]] == list(range(1, len(told[job]) + 1)), f"I5: a gap in {job}'s events"


def _no_file_is_left_over(database: Database, storage: Storage) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "QUIET_S", -60.0)
        patch.setattr(sweep, "RETRY_S", -60.0)
        sweep.run(database, storage)
    with database.reading() as sql:
        named = {file["key"] for files in sql.execute(select(versions.c.files)).scalars() for file in files}
        named |= set(sql.execute(select(outputs.c.key)).scalars())
        named |= set(sql.execute(select(dataset_files.c.key)).scalars())
        named |= set(sql.execute(select(features.c.key).where(features.c.key.is_not(None))).scalars())
        named |= {part["key"] for parts in sql.execute(select(datasets.c.parts)).scalars() for part in parts or ()}
    left = set(storage.keys("t/")) - named
    assert not left, f"I6: no row names these files: {sorted(left)[:5]}"
    assert all(storage.exists(key) for key in named), "I6: a row names a file that is not there"
