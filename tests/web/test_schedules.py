"""Schedules at the door: every call, and every way in which one is refused."""

import re
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from shared import fires, keys
from shared.database import Database
from shared.settings import Settings
from shared.tables import datasets, schedules, tenants
from tests.factories import SONGS, make_dataset, make_job
from tests.web.calling import Caller, a_key

JOB = {"action": "train", "kind": "classification", "dataset": "songs@latest", "params": {"epochs": 3}}
NIGHTLY = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "job": JOB}

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> str:
    """A dataset that a schedule may train on."""
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS)


def create(caller: Caller, **said: Any) -> Json:
    answer = caller.call("POST", "/v1/schedules", {**NIGHTLY, **said})
    assert answer.status_code == 201, answer.json
    made: Json = answer.json
    return made


def faults(answer: Any) -> dict[str, str]:
    return {fault["pointer"]: fault["message"] for fault in answer.json["errors"]}


def test_a_schedule_is_made_with_what_was_left_out(caller: Caller) -> None:
    answer = caller.call("POST", "/v1/schedules", {**NIGHTLY, "cron": " 0  3 * * * "})

    made = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/schedules/{made['id']}")
    assert re.fullmatch(r"sch_[0-9a-z]{26}", made["id"])
    assert made["cron"] == "0 3 * * *" and made["job"] == JOB
    assert (made["overlap"], made["misfire"], made["misfire_grace_s"]) == ("skip", "once", 3600.0)
    assert (made["state"], made["error"], made["revision"]) == ("active", None, 0)
    assert caller.call("GET", answer.headers["Location"]).json == made
    assert caller.call("GET", "/v1/schedules/nightly").json == made


def test_without_a_zone_it_is_utc(caller: Caller) -> None:
    body = {name: value for name, value in NIGHTLY.items() if name != "timezone"}

    assert caller.call("POST", "/v1/schedules", body).json["timezone"] == "UTC"


@pytest.mark.parametrize(
    ("wrong", "pointer", "said"),
    [
        ({"cron": "0 0 30 2 *"}, "/cron", "never does, so choose another day"),
        ({"cron": "* * * * * *"}, "/cron", "expected five fields"),
        ({"cron": "@reboot !"}, "/cron", "expected five fields"),
        ({"cron": "61 3 * * *"}, "/cron", "Bad minute"),
        ({"cron": "*"}, "/cron", "at least 9 characters"),
        ({"cron": 3}, "/cron", "expected"),
        ({"timezone": "Europe/Berln"}, "/timezone", "Europe/Berlin is meant"),
        ({"timezone": "/etc/passwd"}, "/timezone", "expected a time zone such as Europe/Berlin"),
        ({"name": "a/b"}, "/name", "expected"),
        ({"name": ""}, "/name", "expected"),
        ({"name": "sch_1"}, "/name", "does not begin with sch_"),
        ({"overlap": "wait"}, "/overlap", "expected 'skip', 'queue' or 'replace'"),
        ({"misfire": "twice"}, "/misfire", "expected 'skip', 'once' or 'all'"),
        ({"misfire_grace_s": -1}, "/misfire_grace_s", "greater than or equal to 0"),
        ({"misfire_grace_s": 1e9}, "/misfire_grace_s", "less than or equal to 2592000"),
        ({"misfire_grace_s": True}, "/misfire_grace_s", "expected"),
        ({"seconds": 1}, "/seconds", "unknown"),
        ({"job": None}, "/job", "expected an object"),
        (
            {"job": {**JOB, "action": "ingest"}},
            "/job/action",
            "expected 'train', 'tune', 'score'",
        ),
        ({"job": {**JOB, "speed": 1}}, "/job/speed", "unknown"),
        ({"job": {**JOB, "params": {"epochs": 0}}}, "/job/params/epochs", "greater than"),
        ({"job": {"action": "train", "dataset": "songs"}}, "/job/kind", "expected one of"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(caller: Caller, wrong: Json, pointer: str, said: str) -> None:
    answer = caller.call("POST", "/v1/schedules", {**NIGHTLY, **wrong})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert said in faults(answer)[pointer]


@pytest.mark.parametrize(
    ("job", "pointer", "code"),
    [
        ({"dataset": "nothing"}, "/job/dataset", "unknown_reference"),
        ({"dataset": ["songs", "nothing@3"]}, "/job/dataset/1", "unknown_reference"),
        ({"action": "score", "model": "nothing@champion", "kind": None}, "/job/model", "unknown_reference"),
        ({"kind": "sorcery"}, "/job/kind", "unknown_kind"),
        ({"model": "etude.mine"}, "/job/model", "name_reserved"),
    ],
)
def test_a_job_that_would_be_refused_is_refused_now(caller: Caller, job: Json, pointer: str, code: str) -> None:
    answer = caller.call("POST", "/v1/schedules", {**NIGHTLY, "job": {**JOB, **job}})

    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert list(faults(answer)) == [pointer]


def test_a_dataset_that_is_not_ready_is_told_now(caller: Caller, database: Database) -> None:
    with database.transaction() as sql:
        sql.execute(update(datasets).values(state="ingesting"))

    answer = caller.call("POST", "/v1/schedules", {**NIGHTLY, "job": {**JOB, "dataset": "songs@1"}})

    assert (answer.status_code, answer.json["code"]) == (409, "dataset_not_ready")


def test_every_fault_is_told_at_once(caller: Caller) -> None:
    answer = caller.call("POST", "/v1/schedules", {"cron": "x", "timezone": "x", "job": {}})

    assert {"/name", "/cron", "/timezone", "/job/action", "/job/dataset"} <= set(faults(answer))


def test_a_name_is_there_once(caller: Caller) -> None:
    create(caller)
    create(caller, name="weekly")

    again = caller.call("POST", "/v1/schedules", NIGHTLY)
    renamed = caller.call("PATCH", "/v1/schedules/weekly", {"name": "nightly"})

    for answer in (again, renamed):
        assert (answer.status_code, answer.json["code"]) == (409, "schedule_exists")
    assert caller.call("PATCH", "/v1/schedules/weekly", {"name": "weekly"}).status_code == 200


def test_a_repeated_creation_makes_one(caller: Caller) -> None:
    first, second = (caller.call("POST", "/v1/schedules", NIGHTLY, **{"Idempotency-Key": "k"}) for _ in range(2))

    assert first.json == second.json and second.headers["Idempotency-Replayed"] == "true"


def test_the_list_goes_page_by_page_the_newest_first(caller: Caller) -> None:
    made = [create(caller, name=f"s{number}")["id"] for number in range(3)]

    first = caller.call("GET", "/v1/schedules?limit=2").json
    second = caller.call("GET", f"/v1/schedules?limit=2&cursor={first['next_cursor']}").json

    assert [row["id"] for row in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


def test_any_field_is_changed_and_the_others_stay(caller: Caller) -> None:
    made = create(caller)
    said = {
        "name": "hourly", "cron": "0 * * * *", "timezone": "UTC", "job": {**JOB, "priority": 3}, "overlap": "queue",
        "misfire": "all", "misfire_grace_s": 60,
    }  # fmt: skip

    for name, value in said.items():
        changed = caller.call("PATCH", f"/v1/schedules/{made['id']}", {name: value})
        assert changed.status_code == 200, changed.json

    now = changed.json
    assert {name: now[name] for name in said} == said
    assert (now["revision"], now["id"], now["state"]) == (len(said), made["id"], "active")
    assert datetime.fromisoformat(now["next_at"]).minute == 0


@pytest.mark.parametrize(
    "wrong", [{"cron": None}, {"cron": "0 0 31 4 *"}, {"timezone": "Nowhere"}, {"job": None}, {"overlap": None},
              {"state": "paused"}, {"revision": 3}, {"misfire_grace_s": "1"}, {"job": {**JOB, "kind": None}}],
)  # fmt: skip
def test_a_change_is_refused_as_a_creation_is(caller: Caller, wrong: Json) -> None:
    create(caller)

    answer = caller.call("PATCH", "/v1/schedules/nightly", wrong)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert caller.call("GET", "/v1/schedules/nightly").json["revision"] == 0


def test_a_change_to_a_job_that_would_be_refused_is_refused(caller: Caller) -> None:
    create(caller)

    answer = caller.call("PATCH", "/v1/schedules/nightly", {"job": {**JOB, "dataset": "nothing"}})

    assert (answer.status_code, answer.json["code"], list(faults(answer))) == (
        422, "unknown_reference", ["/job/dataset"],
    )  # fmt: skip


def test_paused_it_has_no_next_moment_and_resumed_it_has(caller: Caller) -> None:
    made = create(caller)

    paused = caller.call("POST", "/v1/schedules/nightly/pause")
    resumed = caller.call("POST", "/v1/schedules/nightly/resume")

    assert (paused.status_code, paused.json["state"], paused.json["next_at"]) == (200, "paused", None)
    assert (resumed.status_code, resumed.json["state"], resumed.json["next_at"]) == (200, "active", made["next_at"])


def test_a_run_by_hand_is_a_job_of_the_schedule(caller: Caller, database: Database, tenant: str) -> None:
    made = create(caller)
    with database.transaction() as sql:
        make_job(sql, tenant)

    answer = caller.call("POST", "/v1/schedules/nightly/run")

    job = answer.json
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (job["schedule"], job["state"], job["params"]) == (made["id"], "queued", {"epochs": 3})
    assert caller.call("GET", f"/v1/jobs/{job['id']}").json["schedule"] == made["id"]
    for which in ("nightly", made["id"]):
        found = caller.call("GET", f"/v1/jobs?schedule={which}").json["data"]
        assert [each["id"] for each in found] == [job["id"]]
    (run,) = caller.call("GET", "/v1/schedules/nightly/runs").json["data"]
    assert (run["outcome"], run["by_hand"], run["error"]) == ("submitted", True, None)
    assert run["job"] == {"id": job["id"], "state": "queued"}


def test_a_repeated_run_by_hand_makes_one_job(caller: Caller) -> None:
    create(caller)

    jobs = [caller.call("POST", "/v1/schedules/nightly/run", **{"Idempotency-Key": "k"}).json["id"] for _ in range(2)]

    assert jobs[0] == jobs[1]
    assert len(caller.call("GET", "/v1/schedules/nightly/runs").json["data"]) == 1


def test_a_run_by_hand_that_is_refused_says_why(caller: Caller, database: Database) -> None:
    create(caller)
    with database.transaction() as sql:
        sql.execute(update(datasets).values(state="erased"))

    answer = caller.call("POST", "/v1/schedules/nightly/run")

    assert (answer.status_code, answer.json["code"]) == (422, "unknown_reference")
    assert caller.call("GET", "/v1/schedules/nightly").json["state"] == "active"


def test_what_the_scheduler_made_of_its_moments_is_listed_page_by_page(
    caller: Caller, database: Database, settings: Settings
) -> None:
    create(caller, cron="* * * * *", misfire="skip", misfire_grace_s=0)
    with database.transaction() as sql:
        sql.execute(update(schedules).values(next_at=schedules.c.next_at - 600))
        (due,) = fires.list_due(sql)
        fires.fire(sql, due, settings)

    first = caller.call("GET", "/v1/schedules/nightly/runs?limit=6").json
    second = caller.call("GET", f"/v1/schedules/nightly/runs?limit=6&cursor={first['next_cursor']}").json

    runs = first["data"] + second["data"]
    assert [run["outcome"] for run in runs] == ["submitted"] + ["missed"] * 9
    assert sorted({run["due_at"] for run in runs}, reverse=True) == [run["due_at"] for run in runs]
    assert (runs[0]["job"]["state"], runs[1]["job"], second["next_cursor"]) == ("queued", None, None)
    assert runs[0]["fired_at"] >= runs[0]["due_at"]


def test_why_it_paused_itself_is_shown(caller: Caller, database: Database, settings: Settings) -> None:
    create(caller)
    with database.transaction() as sql:
        sql.execute(update(datasets).values(state="erased"))
        sql.execute(update(schedules).values(next_at=60.0, misfire="all", misfire_grace_s=1e12))
        fires.fire(sql, fires.list_due(sql)[0], settings)

    shown = caller.call("GET", "/v1/schedules/nightly").json
    runs = caller.call("GET", "/v1/schedules/nightly/runs?limit=200").json["data"]
    resumed = caller.call("POST", "/v1/schedules/nightly/resume").json

    assert (shown["state"], shown["error"]["code"], shown["next_at"]) == ("paused", "unknown_reference", None)
    assert shown["error"]["errors"][0]["pointer"] == "/job/dataset"
    assert [run["outcome"] for run in runs] == ["missed"] * 99 + ["refused"]
    assert runs[-1]["error"] == shown["error"]
    assert (resumed["state"], resumed["error"]) == ("active", None)


def test_the_next_moments_are_told_from_now_and_from_elsewhere(caller: Caller) -> None:
    made = create(caller)

    now = caller.call("GET", "/v1/schedules/nightly/next").json["data"]
    spring = caller.call("GET", "/v1/schedules/nightly/next?n=3&from=2027-03-27T00:00:00%2B01:00").json["data"]
    caller.call("POST", "/v1/schedules/nightly/pause")
    paused = caller.call("GET", "/v1/schedules/nightly/next?n=1").json["data"]

    assert len(now) == 10 and now[0] == made["next_at"] == paused[0]
    assert spring == ["2027-03-27T02:00:00.000Z", "2027-03-28T01:00:00.000Z", "2027-03-29T01:00:00.000Z"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("n=0", "invalid_request"), ("n=101", "invalid_request"), ("n=x", "invalid_request"),
        ("from=tomorrow", "invalid_parameter"), ("from=2027-03-27", "invalid_parameter"),
        ("from=2027-03-27T00:00:00", "invalid_parameter"), ("from=0001-01-01T00:00:00Z", "invalid_parameter"),
        ("from=9999-12-31T23:59:59Z", "invalid_parameter"), ("from_=2027-03-27T00:00:00Z", "invalid_request"),
        ("until=2027-03-27T00:00:00Z", "invalid_request"),
    ],
)  # fmt: skip
def test_a_wrong_question_for_the_next_moments_is_refused(caller: Caller, query: str, code: str) -> None:
    create(caller)

    answer = caller.call("GET", f"/v1/schedules/nightly/next?{query}")

    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize("query", ["cursor=-1", "cursor=x", "cursor=99999999999999999999", "limit=0", "limit=201"])
def test_a_wrong_page_of_runs_is_refused(caller: Caller, query: str) -> None:
    create(caller)

    answer = caller.call("GET", f"/v1/schedules/nightly/runs?{query}")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")


def test_what_is_deleted_is_gone_and_its_jobs_are_found_by_its_id(caller: Caller) -> None:
    made = create(caller)
    job = caller.call("POST", "/v1/schedules/nightly/run").json["id"]

    deleted = caller.call("DELETE", "/v1/schedules/nightly")

    assert (deleted.status_code, deleted.data) == (204, b"")
    assert caller.call("GET", f"/v1/schedules/{made['id']}").status_code == 404
    assert [each["id"] for each in caller.call("GET", f"/v1/jobs?schedule={made['id']}").json["data"]] == [job]
    assert caller.call("GET", "/v1/jobs?schedule=nightly").json["data"] == []
    assert create(caller)["id"] != made["id"]


CALLS = (
    ("GET", "", None), ("PATCH", "", {"overlap": "queue"}), ("DELETE", "", None), ("POST", "/pause", None),
    ("POST", "/resume", None), ("POST", "/run", None), ("GET", "/next", None), ("GET", "/runs", None),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_nobodys_and_somebody_elses_are_not_found(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, other: str, method: str, path: str,
    body: Any,
) -> None:  # fmt: skip
    made = create(caller)
    stranger = Caller(client, a_key(database, settings, other))

    for who, which in ((caller, "nothing"), (stranger, made["id"]), (stranger, "nightly")):
        answer = who.call(method, f"/v1/schedules/{which}{path}", body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert caller.call("GET", "/v1/schedules/nightly").json == made


def test_who_may_only_read_changes_nothing(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, tenant: str
) -> None:
    made = create(caller)
    reader = Caller(client, a_key(database, settings, tenant, keys.READ))
    submitter = Caller(client, a_key(database, settings, tenant, keys.SUBMIT))

    refused = [reader.call(method, f"/v1/schedules/nightly{path}", body) for method, path, body in CALLS]
    refused.append(reader.call("POST", "/v1/schedules", {**NIGHTLY, "name": "mine"}))

    codes = [answer.json["code"] for answer in refused if answer.status_code == 403]
    assert codes == ["insufficient_scope"] * 6
    assert caller.call("GET", "/v1/schedules/nightly").json == made
    assert submitter.call("POST", "/v1/schedules", {**NIGHTLY, "name": "mine"}).status_code == 201


def test_another_tenants_jobs_are_not_found_by_their_schedule(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, other: str
) -> None:
    made = create(caller)
    caller.call("POST", "/v1/schedules/nightly/run")
    stranger = Caller(client, a_key(database, settings, other))

    for which in ("nightly", made["id"]):
        assert stranger.call("GET", f"/v1/jobs?schedule={which}").json["data"] == []


def test_a_body_where_none_belongs_and_none_where_one_does(caller: Caller) -> None:
    create(caller)

    assert caller.call("POST", "/v1/schedules/nightly/run", {"now": 1}).json["code"] == "unexpected_body"
    assert caller.call("PATCH", "/v1/schedules/nightly").json["code"] == "unsupported_media_type"


def test_a_full_queue_refuses_a_run_by_hand(caller: Caller, database: Database, tenant: str) -> None:
    create(caller)
    with database.transaction() as sql:
        make_job(sql, tenant)
        sql.execute(update(tenants).values(queued_at_most=1))

    answer = caller.call("POST", "/v1/schedules/nightly/run")

    assert (answer.status_code, answer.json["code"]) == (429, "too_many_jobs")
    with database.reading() as sql:
        assert len(sql.execute(select(schedules)).all()) == 1
