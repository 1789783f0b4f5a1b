"""The audit log at the door: changes and refusals are told, nothing private is, and nobody edits it."""

import re
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from shared import audit_chain
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import audit_log, tenants
from tests.conftest import make_tenant
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller, a_key
from tests.web.test_keys import forget_known, make, set_row, with_key
from web import api
from web.api import ROUTES, Answer

# What is asked by POST and changes nothing.
QUESTIONS = {"jobs.estimate", "model_archives.verify", "recommendations.recommend"}


def log(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = caller.call("GET", f"/v1/audit-log{query}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["data"]
    return rows


def count(database: Database) -> int:
    with database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(audit_log)).scalar_one())


def test_every_call_that_is_no_question_is_told() -> None:
    silent = {route.action for route in ROUTES if not route.changes}

    assert {route.action for route in ROUTES if route.method != "GET"} & silent == QUESTIONS
    assert not any(route.changes for route in ROUTES if route.method == "GET")
    # A scope that only looks changes nothing.
    assert not [route.action for route in ROUTES if route.changes and route.scope not in ("submit", "admin")]


def test_no_call_touches_the_log() -> None:
    assert {route.method for route in ROUTES if route.path.startswith("/v1/audit-log")} == {"GET"}


def test_a_call_that_forgets_to_tell_ends_as_our_fault(
    client: FlaskClient, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = next(route for route in ROUTES if route.action == "audits.decide")
    forgetful = api.Route(**{**vars(declared), "handler": lambda call, **_: Answer({})})
    view = api._view(forgetful, client.application.extensions["etude"])
    client.application.view_functions["PUT " + declared.path] = view

    answer = caller.call("PUT", "/v1/jobs/job_x/audit/3", {"decision": "reject"})

    assert answer.status_code == 500


def test_each_change_has_one_row_with_who_what_and_what_came_of_it(
    caller: Caller, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, profile=SONGS)
    body = {"action": "train", "kind": "classification", "dataset": dataset}
    job = caller.call("POST", "/v1/jobs", body, **{"X-Request-Id": "mine"}).json["id"]
    caller.call("POST", f"/v1/jobs/{job}/cancel")
    opened = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    caller._client.put(f"/v1/datasets/{opened}/files/private%20diary.csv", data=b"a,b\n1,2\n",
                       headers={"Authorization": f"Bearer {caller._key}"})  # fmt: skip
    ingest = caller.call("POST", f"/v1/datasets/{opened}/commit").json["id"]
    caller.call("DELETE", f"/v1/datasets/{opened}")
    key = make(caller).json["id"]
    rotated = caller.call("POST", f"/v1/keys/{key}/rotate", {}).json["id"]
    caller.call("DELETE", f"/v1/keys/{key}")

    rows = log(caller)[::-1]

    assert [(row["action"], row["object"], row["made"], row["status"]) for row in rows] == [
        ("jobs.submit", job, None, 202),
        ("jobs.cancel", job, None, 202),
        ("datasets.create", opened, None, 201),
        ("datasets.upload", opened, None, 204),
        ("datasets.commit", opened, ingest, 202),
        ("datasets.erase", opened, None, 200),
        ("keys.create", key, None, 201),
        ("keys.rotate", key, rotated, 201),
        ("keys.revoke", key, None, 204),
    ]
    assert rows[0]["request_id"] == "mine" and len({row["key"] for row in rows}) == 1
    assert all(row["previous"] == before["hash"] for before, row in pairwise(rows))
    with database.reading() as sql:
        assert "diary" not in repr(sql.execute(select(audit_log)).all())
        assert audit_chain.verify(sql).faults == []


def test_questions_refused_wishes_and_replays_leave_no_row(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, profile=SONGS)
    body = {"action": "train", "kind": "classification", "dataset": dataset}
    once = {"Idempotency-Key": "once"}

    caller.call("GET", "/v1/jobs")
    caller.call("POST", "/v1/estimate", body)
    caller.call("POST", "/v1/jobs", {**body, "dataset": "ds_nothing"})
    caller.call("POST", "/v1/jobs/job_nothing/cancel")
    assert count(database) == 0
    caller.call("POST", "/v1/jobs", body, **once)
    caller.call("POST", "/v1/jobs", body, **once)
    assert count(database) == 1


def test_what_is_refused_of_a_known_key_is_told(client: FlaskClient, caller: Caller, database: Database) -> None:
    reader, old = make(caller), make(caller)
    caller.call("DELETE", f"/v1/keys/{old.json['id']}")

    with_key(client, reader).call("DELETE", "/v1/datasets/ds_x")
    with_key(client, reader).call("PUT", "/v1/datasets/ds_x/files/private.csv")
    with_key(client, old).call("GET", "/v1/jobs")
    # Whoever it is, it is nobody's tenant: the id of a key is no secret.
    wrong = old.json["secret"].split("_")
    client.get("/v1/jobs", headers={"Authorization": "Bearer etude_nobody_x_y"})
    client.get("/v1/jobs", headers={"Authorization": f"Bearer etude_{wrong[1]}_{'a' * 32}_{wrong[3]}"})

    refused = [row for row in log(caller)[::-1] if row["status"] in (401, 403)]
    assert [(row["key"], row["action"], row["object"], row["status"]) for row in refused] == [
        (reader.json["id"], "datasets.erase", "ds_x", 403),
        (reader.json["id"], "datasets.upload", "ds_x", 403),
        (old.json["id"], "jobs.index", None, 401),
    ]


def test_a_quota_that_refuses_is_told(caller: Caller, database: Database) -> None:
    dataset = caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"]
    with database.transaction() as sql:
        sql.execute(update(tenants).values(stored_bytes_at_most=0))

    headers = {"Authorization": f"Bearer {caller._key}"}
    caller._client.put(f"/v1/datasets/{dataset}/files/private.csv", data=b"a\n1\n", headers=headers)

    row = log(caller)[0]
    assert (row["action"], row["object"], row["status"]) == ("datasets.upload", dataset, 403)


def test_a_loop_of_refusals_does_not_fill_the_log(client: FlaskClient, caller: Caller, database: Database) -> None:
    reader = with_key(client, make(caller))

    answers = {reader.call("GET", "/v1/keys").status_code for _ in range(100)}

    assert answers == {403}
    assert 60 <= count(database) < 90


def test_a_suspended_tenant_is_told_so_and_works_again(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, tenant: str
) -> None:
    neighbour = Caller(client, a_key(database, settings, make_tenant(database)))
    with database.transaction() as sql:
        sql.execute(update(tenants).where(tenants.c.id == tenant).values(suspended_at=now()))

    answer = caller.call("GET", "/v1/jobs")

    assert (answer.status_code, answer.json["code"]) == (403, "tenant_suspended")
    assert neighbour.call("GET", "/v1/jobs").status_code == 200
    with database.transaction() as sql:
        sql.execute(update(tenants).values(suspended_at=None))
    forget_known(client)
    assert caller.call("GET", "/v1/jobs").status_code == 200
    assert [(row["action"], row["status"]) for row in log(caller)] == [("jobs.index", 403)]


def test_the_log_has_pages_and_filters(client: FlaskClient, caller: Caller, database: Database) -> None:
    second = make(caller, scope="admin")
    made = [caller.call("POST", "/v1/datasets", {"name": "songs"}).json["id"] for _ in range(3)]
    with_key(client, second).call("DELETE", f"/v1/datasets/{made[0]}")

    first = caller.call("GET", "/v1/audit-log?limit=3").json
    rest = caller.call("GET", f"/v1/audit-log?limit=3&cursor={first['next_cursor']}").json

    assert [row["seq"] for row in first["data"] + rest["data"]] == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None
    assert [row["action"] for row in log(caller, f"?key={second.json['id']}")] == ["datasets.erase"]
    assert [row["action"] for row in log(caller, f"?object={made[0]}")] == ["datasets.erase", "datasets.create"]
    assert len(log(caller, "?action=datasets.create")) == 3
    assert log(caller, "?to=2001-01-01") == log(caller, "?from=2099-01-01") == []
    assert len(log(caller, "?from=2001-01-01&to=2099-01-01")) == 5


@pytest.mark.parametrize("query", ["?limit=0", "?cursor=x", "?from=yesterday", "?from=2026-01-02&to=2026-01-01",
                                   "?action=", "?tenant=ten_x", "?cursor=-1"])  # fmt: skip
def test_a_wrong_question_is_refused(caller: Caller, query: str) -> None:
    assert caller.call("GET", f"/v1/audit-log{query}").status_code == 422


def test_another_tenants_log_is_not_read(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings
) -> None:
    make(caller)
    stranger = Caller(client, a_key(database, settings, make_tenant(database)))

    assert log(stranger) == []
    assert with_key(client, make(caller)).call("GET", "/v1/audit-log").json["code"] == "insufficient_scope"


def test_actions_are_words_that_may_be_relied_on() -> None:
    actions = [route.action for route in ROUTES]

    assert len(set(actions)) == len(actions)
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", action) and len(action) <= 64 for action in actions)


def test_a_key_that_expires_is_told_as_refused(client: FlaskClient, caller: Caller, database: Database) -> None:
    made = make(caller)
    set_row(database, made.json["id"], expires_at=1.0)
    with_key(client, made).call("GET", "/v1/jobs")

    assert (log(caller)[0]["key"], log(caller)[0]["status"]) == (made.json["id"], 401)
