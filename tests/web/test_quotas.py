"""How many jobs of one tenant may wait, and what the rest are told."""

import dataclasses
import time

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared import job_list, keys
from shared.database import Database
from shared.errors import TooManyRequests
from shared.jobs import RUNNING
from shared.quotas import COME_AGAIN_S
from shared.settings import Settings
from shared.tables import jobs
from tests.factories import SONGS, claim, make_dataset, make_job
from web import quotas
from web.app import create_app, create_services
from web.quotas import Quotas


@pytest.fixture
def narrow(settings: Settings) -> Settings:
    return dataclasses.replace(settings, tenant_queued=3)


@pytest.mark.hostile("H51")
def test_what_is_above_the_limit_is_refused_until_something_has_begun(
    narrow: Settings, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, profile=SONGS)
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=narrow.pepper)
    services = create_services(narrow)
    client = create_app(services).test_client()
    body = {"action": "train", "kind": "classification", "dataset": dataset}
    headers = {"Authorization": f"Bearer {key}"}

    accepted = [client.post("/v1/jobs", json=body, headers=headers) for _ in range(3)]
    refused = client.post("/v1/jobs", json=body, headers=headers | {"Idempotency-Key": "again"})
    with database.transaction() as sql:
        claim(sql)
    later = client.post("/v1/jobs", json=body, headers=headers | {"Idempotency-Key": "again"})
    services.database.close()

    assert [answer.status_code for answer in accepted] == [202] * 3
    assert (refused.status_code, refused.json["code"], refused.json["retryable"]) == (429, "too_many_jobs", True)
    assert int(refused.headers["Retry-After"]) == COME_AGAIN_S
    # The refusal was not kept as the answer to that key.
    assert later.status_code == 202


def test_retries_and_ingests_count_too(narrow: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        failed = make_job(sql, tenant)
        sql.execute(update(jobs).values(state="failed"))
        for _ in range(3):
            make_job(sql, tenant)
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=narrow.pepper)
    services = create_services(narrow)
    client: FlaskClient = create_app(services).test_client()

    retried = client.post(f"/v1/jobs/{failed}/retry", headers={"Authorization": f"Bearer {key}"})
    services.database.close()

    assert retried.json["code"] == "too_many_jobs"
    with database.reading() as sql:
        assert sql.execute(jobs.select().where(jobs.c.id == failed)).one().state == "failed"


def limit(settings: Settings, queued: int, **more: int) -> Quotas:
    return Quotas(dataclasses.replace(settings, tenant_queued=queued, **more))


def test_another_tenant_is_not_concerned(database: Database, settings: Settings, tenant: str) -> None:
    limits = limit(settings, 1)
    with database.transaction() as sql:
        make_job(sql, tenant)
        with pytest.raises(TooManyRequests):
            limits.take(sql, tenant)
        limits.take(sql, "ten_other")


def test_far_from_the_limit_nothing_is_counted_within_a_second(
    database: Database, settings: Settings, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    real = job_list.count_queued
    monkeypatch.setattr(job_list, "count_queued", lambda *a, **k: counted.append(1) or real(*a, **k))
    now = [time.monotonic()]
    monkeypatch.setattr(quotas.time, "monotonic", lambda: now[0])
    limits = limit(settings, quotas.FAR + 100)

    with database.transaction() as sql:
        for _ in range(50):
            limits.take(sql, tenant)
        assert len(counted) == 1
        now[0] += quotas.COUNTED_S + 0.1
        limits.take(sql, tenant)
    assert len(counted) == 2


def test_without_a_limit_there_is_none(database: Database, settings: Settings, tenant: str) -> None:
    with database.transaction() as sql:
        for _ in range(5):
            make_job(sql, tenant)
            limit(settings, 0).take(sql, tenant)


def test_running_jobs_do_not_wait(database: Database, settings: Settings, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        claim(sql)
        assert {row.state for row in sql.execute(jobs.select())} == {RUNNING}
        limit(settings, 1).take(sql, tenant)
