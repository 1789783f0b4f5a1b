"""Estimates, budgets, usage and the reuse of earlier jobs, at the door."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from shared import claims, ids
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import datasets as dataset_table
from shared.tables import jobs as job_table
from shared.tables import models as model_table
from shared.tables import versions
from tests.factories import SONGS, claim, make_dataset
from tests.web.calling import Caller, a_key

JOB = {"action": "train", "kind": "classification", "dataset": "songs", "params": {"seed": 3}}
COST = {"compute_s": 2.0, "helped_s": 0.0, "cpu_s": 3.0, "gpu_s": 0.0, "energy_wh": 0.5, "money": None}

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS, rows=100, sha256="a" * 64)


def train(caller: Caller, database: Database, tenant: str, body: Json = JOB) -> str:
    """A training that has ended well and left a version."""
    job = str(caller.call("POST", "/v1/jobs", body).json["id"])
    with database.transaction() as sql:
        taken = claim(sql)
        model = ids.new("mdl")
        sql.execute(
            insert(model_table).values(id=model, tenant=tenant, name=model, kind="classification", created_at=now())
        )
        sql.execute(
            insert(versions).values(
                id=ids.new("ver"), tenant=tenant, model=model, number=1, job=job, fence=taken.fence, files=[],
                metrics={}, baselines={}, warnings=[], lineage={}, parameters=1, created_at=now(),
            )
        )  # fmt: skip
        claims.succeed(sql, taken, result={}, cost=COST)
    return job


def test_an_estimate_tells_seconds_with_a_range_and_invents_no_money(caller: Caller) -> None:
    said = caller.call("POST", "/v1/estimate", JOB).json

    assert 0 < said["low_s"] < said["expected_s"] < said["high_s"]
    assert (said["jobs"], said["money"], said["currency"]) == (0, None, None)
    assert said["energy_wh"] > 0 and said["parameters"] > 0


def test_an_estimate_learns_from_jobs_that_have_ended(caller: Caller, database: Database, tenant: str) -> None:
    before = caller.call("POST", "/v1/estimate", JOB).json["expected_s"]
    job = train(caller, database, tenant)

    after = caller.call("POST", "/v1/estimate", JOB).json
    shown = caller.call("GET", f"/v1/jobs/{job}").json["estimate"]

    assert after["jobs"] == 1 and abs(after["expected_s"] - 2.0) < abs(before - 2.0)
    assert shown["seconds"] == before and shown["actual_ratio"] == pytest.approx(2.0 / before, abs=0.001)


def test_jobs_of_an_older_release_tell_only_where_there_are_no_others(
    caller: Caller, database: Database, tenant: str
) -> None:
    old = train(caller, database, tenant)
    with database.of(tenant).transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == old).values(estimate={"model_s": 1.0, "seconds": 1.0}))

    first = caller.call("POST", "/v1/estimate", JOB).json["jobs"]
    for _ in range(2):
        train(caller, database, tenant, {**JOB, "params": {"seed": 4}})

    assert (first, caller.call("POST", "/v1/estimate", JOB).json["jobs"]) == (1, 2)


def test_an_estimate_for_a_dataset_that_is_not_ready_is_refused(
    caller: Caller, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="young", state="ingesting", profile=None)

    answer = caller.call("POST", "/v1/estimate", {**JOB, "dataset": "young@1"})

    assert (answer.status_code, answer.json["code"]) == (409, "dataset_not_ready")


@pytest.mark.parametrize("name", ["compute_seconds", "energy_wh", "money"])
@pytest.mark.parametrize("granted", [0, -1.5])
def test_a_budget_of_nothing_is_refused_and_it_is_said_to_leave_it_out(
    caller: Caller, name: str, granted: float
) -> None:
    answer = caller.call("POST", "/v1/jobs", {**JOB, "budget": {name: granted}})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == f"/budget/{name}"
    assert "left out" in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/estimate"])
def test_a_budget_of_money_needs_prices(caller: Caller, path: str) -> None:
    answer = caller.call("POST", path, {**JOB, "budget": {"money": 1.0}})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/budget/money")


def test_the_same_job_again_is_answered_with_the_earlier_one(caller: Caller, database: Database, tenant: str) -> None:
    job = train(caller, database, tenant)

    again = caller.call("POST", "/v1/jobs", {**JOB, "reuse": True, "labels": {"team": "mir"}})
    spelled = caller.call("POST", "/v1/jobs", {**JOB, "params": {"seed": 3, "batch_size": 32}, "reuse": True})
    other = caller.call("POST", "/v1/jobs", {**JOB, "params": {"seed": 4}, "reuse": True})

    assert (again.status_code, again.json["id"], again.json["reuse"]) == (200, job, {"reused": True, "reason": None})
    assert spelled.json["id"] == job
    assert (other.status_code, other.json["reuse"]) == (202, {"reused": False, "reason": "nothing_alike"})
    assert caller.call("POST", "/v1/jobs", JOB).status_code == 202


def test_the_same_bytes_under_another_name_are_the_same(caller: Caller, database: Database, tenant: str) -> None:
    body = {**JOB, "model": "genre"}
    job = train(caller, database, tenant, body)
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="copy", profile=SONGS, rows=100, sha256="a" * 64)
        make_dataset(sql, tenant, name="unlike", profile=SONGS, rows=100, sha256="b" * 64)

    assert caller.call("POST", "/v1/jobs", {**body, "dataset": "copy", "reuse": True}).json["id"] == job
    assert caller.call("POST", "/v1/jobs", {**body, "dataset": "unlike", "reuse": True}).status_code == 202


@pytest.mark.parametrize("reason", ["code_changed", "dataset_erased", "outputs_gone"])
def test_what_is_not_the_same_any_more_is_done_anew_and_why_is_told(
    caller: Caller, database: Database, tenant: str, songs: str, reason: str
) -> None:
    body = {**JOB, "model": "genre"}
    job = train(caller, database, tenant, body)
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="copy", profile=SONGS, rows=100, sha256="a" * 64)
        if reason == "code_changed":
            sql.execute(update(job_table).values(code="0.0.9"))
        elif reason == "dataset_erased":
            sql.execute(
                update(dataset_table).where(dataset_table.c.id == songs).values(state="erased", erased_at=now())
            )
        else:
            sql.execute(versions.delete())

    answer = caller.call("POST", "/v1/jobs", {**body, "dataset": "copy", "reuse": True})

    assert (answer.status_code, answer.json["reuse"]) == (202, {"reused": False, "reason": reason})
    assert answer.json["id"] != job


@pytest.fixture
def stranger(client: FlaskClient, database: Database, settings: Settings, other: str) -> Caller:
    """Another tenant, with the same songs."""
    with database.transaction() as sql:
        make_dataset(sql, other, name="songs", profile=SONGS, rows=100, sha256="a" * 64)
    return Caller(client, a_key(database, settings, other))


def test_a_job_of_another_tenant_is_never_reused(
    caller: Caller, stranger: Caller, database: Database, other: str
) -> None:
    train(stranger, database, other)

    answer = caller.call("POST", "/v1/jobs", {**JOB, "reuse": True})

    assert (answer.status_code, answer.json["reuse"]["reason"]) == (202, "nothing_alike")


def test_a_reused_answer_is_replayed_under_its_idempotency_key(caller: Caller, database: Database, tenant: str) -> None:
    job = train(caller, database, tenant)
    body, key = {**JOB, "reuse": True}, {"Idempotency-Key": "k1"}

    first, second = (caller.call("POST", "/v1/jobs", body, **key) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json["id"] == second.json["id"] == job


@pytest.mark.parametrize(
    ("by", "key"), [("kind", "classification"), ("model", "songs"), ("label", "team=mir"), ("job", None), ("day", None)]
)
def test_usage_is_summed_of_the_tenants_own_jobs(
    caller: Caller, stranger: Caller, database: Database, tenant: str, other: str, *, by: str, key: str | None
) -> None:
    for seed in (1, 2):
        train(caller, database, tenant, {**JOB, "params": {"seed": seed}, "labels": {"team": "mir"}})
    train(stranger, database, other)

    said = caller.call("GET", f"/v1/usage?by={by}").json

    assert sum(row["jobs"] for row in said["data"]) == 2
    assert sum(row["compute_s"] for row in said["data"]) == 4.0
    assert sum(row["energy_wh"] for row in said["data"]) == 1.0
    assert {row["money"] for row in said["data"]} == {None}
    assert key is None or [row["key"] for row in said["data"]] == [key]


def test_usage_is_paged_and_has_its_span(caller: Caller, database: Database, tenant: str) -> None:
    jobs = [train(caller, database, tenant, {**JOB, "params": {"seed": seed}}) for seed in (1, 2)]

    first = caller.call("GET", "/v1/usage?by=job&limit=1").json
    second = caller.call("GET", f"/v1/usage?by=job&limit=1&cursor={first['next_cursor']}").json

    assert [row["key"] for page in (first, second) for row in page["data"]] == sorted(jobs)
    assert second["next_cursor"] is None
    assert caller.call("GET", "/v1/usage?to=2020-01-01").json["data"] == []


@pytest.mark.parametrize("query", ["from=2026-02-01&to=2026-01-01", "from=2026-01-01&to=2026-01-01", "from=yesterday",
                                   "to=2026-01-01T10:00:00", "by=colour"])  # fmt: skip
def test_a_span_that_is_none_is_refused(caller: Caller, query: str) -> None:
    assert caller.call("GET", f"/v1/usage?{query}").status_code == 422
