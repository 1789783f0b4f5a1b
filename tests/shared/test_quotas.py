"""The limits of a tenant: whose they are, what is counted, and that the last place is taken once."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from shared import claims, datasets, fires, quotas, schedules
from shared.database import Database, now
from shared.errors import EtudeError, Forbidden, TooManyRequests
from shared.quotas import NO_LIMIT, Limits
from shared.settings import Settings
from shared.storage import Stored
from shared.tables import dataset_files, features, jobs, tenants
from shared.tables import schedules as schedule_table
from tests.conftest import make_tenant
from tests.factories import SKILLS, SONGS, claim, make_dataset, make_job
from web.quotas import Quotas


def own(database: Database, tenant: str, **limits: Any) -> None:
    with database.transaction() as sql:
        sql.execute(update(tenants).where(tenants.c.id == tenant).values(limits))


def at_once(database: Database, take: Callable[[Connection], object], times: int = 6) -> list[str]:
    """What came of each of several transactions that begin together."""
    start, came = threading.Barrier(times), []

    def run() -> None:
        start.wait()
        try:
            with database.transaction() as sql:
                take(sql)
            came.append("taken")
        except EtudeError as refusal:
            came.append(refusal.code)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(came)


def test_a_tenants_own_limit_goes_before_the_settings(database: Database, settings: Settings, tenant: str) -> None:
    chosen = dataclasses.replace(settings, tenant_queued=7, tenant_running=0, tenant_schedules=3)
    own(database, tenant, running_at_most=0, schedules_at_most=NO_LIMIT, stored_bytes_at_most=10)

    with database.reading() as sql:
        mine, theirs = (quotas.of_tenant(sql, each, chosen) for each in (tenant, make_tenant(database)))

    assert mine == Limits(stored_bytes=10, queued=7, running=0, schedules=None, compute_s=None)
    assert theirs == Limits(stored_bytes=None, queued=7, running=None, schedules=3, compute_s=None)


def test_the_last_waiting_place_is_taken_once(database: Database, settings: Settings, tenant: str) -> None:
    chosen = dataclasses.replace(settings, tenant_queued=3)
    with database.transaction() as sql:
        make_job(sql, tenant)
        make_job(sql, tenant)

    def submit(sql: Connection) -> None:
        # As if each were a web process of its own.
        Quotas(chosen).take(sql, tenant)
        make_job(sql, tenant)

    assert at_once(database, submit) == ["taken", *["too_many_jobs"] * 5]
    with database.reading() as sql:
        assert sql.execute(select(func.count()).select_from(jobs)).scalar_one() == 3


def test_the_last_bytes_are_taken_once(database: Database, settings: Settings, tenant: str) -> None:
    own(database, tenant, stored_bytes_at_most=250)
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, state="open", sha256=None)
        other = make_dataset(sql, make_tenant_in(sql), state="open", sha256=None)
        datasets.add_file(sql, dataset_tenant(sql, other), other, name="a", key="k", stored=Stored(10_000, "0" * 64))
    names = iter("abcdef")

    def add(sql: Connection) -> None:
        quotas.demand_storage(sql, tenant, quotas.of_tenant(sql, tenant, settings).stored_bytes, more_bytes=100)
        datasets.add_file(sql, tenant, dataset, name=next(names), key="k", stored=Stored(100, "0" * 64))

    assert at_once(database, add) == [*["quota_exhausted"] * 4, "taken", "taken"]
    with database.reading() as sql:
        assert quotas.stored_bytes(sql, tenant) == 200


def make_tenant_in(sql: Connection) -> str:
    sql.execute(insert(tenants).values(id="ten_other", name="other", created_at=now()))
    return "ten_other"


def dataset_tenant(sql: Connection, dataset: str) -> str:
    return str(datasets.find(sql, "ten_other", dataset).tenant)


def test_the_last_schedule_is_taken_once(database: Database, settings: Settings, tenant: str) -> None:
    own(database, tenant, schedules_at_most=1)
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, profile=SONGS)
    names = iter("abcdef")

    def make(sql: Connection) -> None:
        schedules.create(sql, tenant, a_schedule(dataset, next(names)), settings)

    assert at_once(database, make) == ["taken", *["too_many_schedules"] * 5]


def a_schedule(dataset: str, name: str = "nightly") -> dict[str, Any]:
    job = {"action": "train", "kind": "classification", "dataset": dataset}
    return {
        "name": name, "cron": "* * * * *", "timezone": "UTC", "job": job, "overlap": "skip", "misfire": "once",
        "misfire_grace_s": 3600.0,
    }  # fmt: skip


def test_tables_and_what_was_heard_count_as_stored_and_what_is_erased_does_not(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, size_bytes=1000)
        sql.execute(insert(dataset_files).values(
            tenant=tenant, dataset=dataset, name="a", key="k", size_bytes=100, sha256="0" * 64,
            uploaded_at=now()))  # fmt: skip
        sql.execute(insert(features).values(
            tenant=tenant, content="0" * 64, extractor="e", size_bytes=10, created_at=now()))  # fmt: skip
        assert quotas.stored_bytes(sql, tenant) == 1110
        datasets.erase(sql, tenant, dataset)
        assert quotas.stored_bytes(sql, tenant) == 10


def test_nought_is_nothing(database: Database, settings: Settings, tenant: str) -> None:
    own(database, tenant, queued_at_most=0, running_at_most=0, schedules_at_most=0, stored_bytes_at_most=0)

    with database.transaction() as sql:
        limits = quotas.of_tenant(sql, tenant, settings)
        make_job(sql, tenant)
        assert claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30) is None
        for refused in (
            lambda: Quotas(settings).take(sql, tenant),
            lambda: quotas.demand_storage(sql, tenant, limits.stored_bytes, more_bytes=1),
            lambda: quotas.demand_schedule(sql, tenant, limits.schedules),
        ):
            with pytest.raises(EtudeError):
                refused()


def test_a_tenants_own_number_of_running_jobs_holds_at_the_claim(database: Database, tenant: str, other: str) -> None:
    own(database, tenant, running_at_most=1)
    own(database, other, running_at_most=NO_LIMIT)
    with database.transaction() as sql:
        for _ in range(3):
            make_job(sql, tenant)
            make_job(sql, other)

        taken = []
        while (
            got := claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30, running_at_most=2)
        ) is not None:
            taken.append(got.tenant)

    assert (taken.count(tenant), taken.count(other)) == (1, 3)


def test_the_days_compute_is_what_was_spent_and_what_is_promised(
    database: Database, settings: Settings, tenant: str
) -> None:
    own(database, tenant, compute_s_a_day=100)
    with database.transaction() as sql:
        done, old = make_job(sql, tenant), make_job(sql, tenant)
        spent = {"state": "succeeded", "cost": {"compute_s": 60.5}}
        sql.execute(update(jobs).where(jobs.c.id == done).values(**spent, ended_at=now()))
        sql.execute(update(jobs).where(jobs.c.id == old).values(**spent, ended_at=now() - 90_000))
        make_job(sql, tenant, expected_s=30.0)
        assert quotas.compute_today(sql, tenant) == 90.5
        Quotas(settings).take(sql, tenant)
        make_job(sql, tenant, expected_s=30.0)
        with pytest.raises(TooManyRequests) as refused:
            Quotas(settings).take(sql, tenant)

    assert refused.value.code == "compute_exhausted"
    assert 0 < (refused.value.retry_after_s or 0) <= quotas.DAY_S + 1


def test_two_submissions_at_once_do_not_both_pass_the_last_second(
    database: Database, settings: Settings, tenant: str
) -> None:
    own(database, tenant, compute_s_a_day=1)

    def submit(sql: Connection) -> None:
        Quotas(settings).take(sql, tenant)
        make_job(sql, tenant)

    assert at_once(database, submit) == [*["compute_exhausted"] * 5, "taken"]


def test_more_bytes_than_are_left_are_refused_with_what_is_taken(database: Database, tenant: str) -> None:
    with database.transaction() as sql, pytest.raises(Forbidden, match="0 of 5 bytes"):
        quotas.demand_storage(sql, tenant, 5, more_bytes=6)


def test_of_a_suspended_tenant_jobs_wait_and_schedules_do_not_fire(
    database: Database, settings: Settings, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        for each in (tenant, other):
            make_job(sql, each)
            schedules.create(sql, each, a_schedule(make_dataset(sql, each, profile=SONGS)), settings)
        sql.execute(update(schedule_table).values(next_at=now() - 1))
        sql.execute(update(tenants).where(tenants.c.id == tenant).values(suspended_at=now()))

        assert [row.tenant for row in fires.list_due(sql)] == [other]
        assert claim(sql).tenant == other
        assert claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30) is None
        assert claims.count_due(sql, "train") == 0
        sql.execute(update(tenants).values(suspended_at=None))
        assert tenant in {row.tenant for row in fires.list_due(sql)}
        assert claim(sql).tenant == tenant
