"""What a tenant may have, as it is told."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared.database import Database
from shared.settings import Settings
from shared.tables import tenants
from tests.conftest import make_tenant
from tests.factories import claim, make_dataset, make_job
from tests.web.calling import Caller, a_key


def test_every_limit_is_told_with_what_is_used(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, tenant: str
) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, size_bytes=1000)
        for _ in range(3):
            make_job(sql, tenant, expected_s=10.0)
        claim(sql)
        values = {"stored_bytes_at_most": 5000, "running_at_most": 2, "compute_s_a_day": -1, "schedules_at_most": 0}
        sql.execute(update(tenants).where(tenants.c.id == tenant).values(values))
    stranger = Caller(client, a_key(database, settings, make_tenant(database)))

    mine, theirs = caller.call("GET", "/v1/limits").json, stranger.call("GET", "/v1/limits").json

    assert mine == {
        "stored_bytes": {"limit": 5000, "used": 1000},
        "jobs_queued": {"limit": 100_000, "used": 2},
        "jobs_running": {"limit": 2, "used": 1},
        "schedules": {"limit": 0, "used": 0},
        "compute_seconds_today": {"limit": None, "used": 30.0},
        "rates": {"requests": {"per_second": 500.0, "burst": 5000}, "submissions": {"per_second": 50.0, "burst": 2000}},
    }
    assert {each["used"] for name, each in theirs.items() if name != "rates"} == {0}


def upload(caller: Caller, dataset: str, name: str, size: int) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {caller._key}"}
    answer = caller._client.put(f"/v1/datasets/{dataset}/files/{name}", data=b"x" * size, headers=headers)
    return answer.status_code, answer.json and answer.json["code"]


def test_an_upload_beyond_the_storage_is_refused_and_leaves_nothing(
    client: FlaskClient, caller: Caller, database: Database
) -> None:
    with database.transaction() as sql:
        sql.execute(update(tenants).values(stored_bytes_at_most=100))
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]

    came = [
        upload(caller, dataset, name, size) for name, size in (("a", 60), ("b", 60), ("b", 40), ("a", 60), ("a", 61))
    ]

    assert came == [(204, None), (403, "quota_exhausted"), (204, None), (204, None), (403, "quota_exhausted")]
    assert len(list(client.application.extensions["etude"].storage.keys("t/"))) == 2
    caller.call("DELETE", f"/v1/datasets/{dataset}")
    assert caller.call("GET", "/v1/limits").json["stored_bytes"] == {"limit": 100, "used": 0}


def test_a_quota_that_another_upload_has_used_up_meanwhile_is_found_at_the_end(
    client: FlaskClient, caller: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.transaction() as sql:
        sql.execute(update(tenants).values(stored_bytes_at_most=100))
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    storage = client.application.extensions["etude"].storage
    put, inner = storage.put, []

    def put_with_another(key: str, blocks: object) -> object:
        if not inner:
            inner.append(None)
            inner.append(upload(caller, dataset, "b", 60))
        return put(key, blocks)

    monkeypatch.setattr(storage, "put", put_with_another)

    assert upload(caller, dataset, "a", 60) == (403, "quota_exhausted")
    assert inner[1] == (204, None)
    assert len(list(storage.keys("t/"))) == 1


def test_the_day_is_spent_until_midnight(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        failed = make_job(sql, tenant)
        sql.execute(update(tenants).values(compute_s_a_day=0))

    answer = caller.call("POST", f"/v1/jobs/{failed}/retry")

    assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (429, "compute_exhausted", True)
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_401


def test_a_limit_takes_no_question(caller: Caller) -> None:
    assert caller.call("GET", "/v1/limits?tenant=ten_x").json["code"] == "unknown_parameter"
