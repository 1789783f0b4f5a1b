"""The scheduler's tick: it rings for what waits, requeues what is lost, and gives amnesty after an outage."""

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, select, update

from shared import claims, jobs, queue, schedules
from shared.database import Database
from shared.settings import Settings
from shared.tables import datasets, fires
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import working
from worker import tick
from worker.runner import Post
from worker.tick import Tick


@pytest.fixture
def post(redis: Settings, database: Database, storage: object) -> Post:
    return working.make_post(redis, database, storage)  # type: ignore[arg-type]


@pytest.fixture
def scheduler(post: Post) -> Iterator[Tick]:
    made = Tick(post.settings)
    yield made
    made.close()


def rings(settings: Settings) -> int:
    return queue.count_rings(settings, queue.TRAIN)


def test_waiting_jobs_are_rung_for_once_however_often_it_ticks(post: Post, scheduler: Tick, tenant: str) -> None:
    with post.database.transaction() as sql:
        for _ in range(3):
            factories.make_job(sql, tenant)

    for _ in range(4):
        scheduler.run_once()

    assert rings(post.settings) == 3


def test_no_more_rings_lie_there_than_wake_a_fleet(post: Post, scheduler: Tick, tenant: str) -> None:
    with post.database.transaction() as sql:
        for _ in range(queue.RINGS_AT_ONCE + 10):
            factories.make_job(sql, tenant)

    scheduler.run_once()

    assert rings(post.settings) == queue.RINGS_AT_ONCE


def test_a_dataset_whose_ingest_was_cancelled_or_has_failed_is_rejected(
    post: Post, scheduler: Tick, tenant: str
) -> None:
    with post.database.of(tenant).transaction() as sql:
        made = [factories.make_dataset(sql, tenant, version=version, state="ingesting") for version in (1, 2)]
        ingests = [factories.make_job(sql, tenant, action="ingest", kind=None, datasets=[each]) for each in made]
        jobs.cancel(sql, tenant, ingests[0])
        failed = {"state": "failed", "ended_at": 1.0, "error": {"code": "worker_lost"}}
        sql.execute(update(job_table).where(job_table.c.id == ingests[1]).values(failed))

    scheduler.run_once()

    with post.database.reading() as sql:
        found = {row.id: (row.state, row.error["code"]) for row in sql.execute(select(datasets)).all()}
    assert found == {made[0]: ("rejected", "cancelled"), made[1]: ("rejected", "worker_lost")}


def test_nothing_waits_and_nothing_rings(post: Post, scheduler: Tick) -> None:
    scheduler.run_once()

    assert rings(post.settings) == 0


def test_a_silent_worker_loses_its_job_and_the_job_is_rung_for(post: Post, scheduler: Tick, tenant: str) -> None:
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant)
        factories.claim(sql, lease_s=-1.0)

    scheduler.run_once()

    assert working.find(post, job).state == jobs.QUEUED
    assert working.outcomes(post, job) == ["lost"]
    assert rings(post.settings) == 1


def test_with_redis_away_it_recovers_all_the_same(post: Post, scheduler: Tick, settings: Settings, tenant: str) -> None:
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant)
        factories.claim(sql, lease_s=-1.0)

    deaf = Tick(settings)
    deaf.run_once()
    deaf.close()

    assert working.find(post, job).state == jobs.QUEUED


def test_after_an_outage_every_worker_has_a_whole_lease_to_beat(
    post: Post, scheduler: Tick, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant)
        claim = factories.claim(sql, lease_s=-1.0)
    clock = [100.0]
    monkeypatch.setattr(tick.time, "monotonic", lambda: clock[0])
    scheduler._away_at = clock[0]

    scheduler.run_once()
    during = working.find(post, job).state
    clock[0] += post.settings.lease_s + 1
    with post.database.transaction() as sql:
        claims.beat(sql, dataclasses.replace(claim, lease_s=30.0))
    scheduler.run_once()

    assert (during, working.find(post, job).state) == (jobs.RUNNING, jobs.RUNNING)
    assert working.outcomes(post, job) == [None]


def test_a_database_that_was_slow_costs_nobody_a_lease(
    post: Post, scheduler: Tick, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant)
        factories.claim(sql, lease_s=-1.0)
    clock = iter([100.0, 100.0 + post.settings.lease_s])
    monkeypatch.setattr(tick.time, "monotonic", lambda: next(clock, 100.0 + post.settings.lease_s))

    scheduler.run_once()

    assert working.find(post, job).state == jobs.RUNNING
    assert working.outcomes(post, job) == [None]


def test_a_job_that_waits_beyond_its_deadline_fails_with_advice(post: Post, scheduler: Tick, tenant: str) -> None:
    with post.database.transaction() as sql:
        job = factories.make_job(sql, tenant, deadline_s=60.0)
        sql.execute(update(job_table).where(job_table.c.id == job).values(deadline_at=1.0))

    scheduler.run_once()

    row = working.find(post, job)
    assert (row.state, row.error["code"]) == (jobs.FAILED, "deadline_passed")
    assert rings(post.settings) == 0


def test_what_became_of_a_schedules_moments_long_ago_is_forgotten(post: Post, scheduler: Tick, tenant: str) -> None:
    day_s = 24 * 3600.0
    with post.database.transaction() as sql:
        factories.make_dataset(sql, tenant, name="songs", profile=factories.SONGS)
        job = {"action": "train", "kind": "classification", "dataset": "songs"}
        said = {"name": "daily", "cron": "0 3 * * *", "timezone": "UTC", "job": job, "overlap": "skip",
                "misfire": "once", "misfire_grace_s": 3600.0}  # fmt: skip
        schedule = schedules.create(sql, tenant, said, post.settings).id
        at = schedules.read_clock(sql)
        noted = {"tenant": tenant, "schedule": schedule, "fired_at": at, "outcome": "missed", "by_hand": False}
        sql.execute(insert(fires), [{**noted, "due_at": at - day * day_s} for day in range(500)])

    scheduler.run_once()

    with post.database.reading() as sql:
        assert len(schedules.list_runs(sql, schedule, limit=1000, before=None)) == post.settings.runs_kept_days
