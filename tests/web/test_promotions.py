"""What a training may ask to be promoted to, at the door: as a job, and as the job of a schedule."""

from typing import Any

import pytest

from shared.database import Database
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller

REQUIRE = {"metric": "accuracy", "not_worse_than": "champion"}
PROMOTE = {"alias": "champion", "require": REQUIRE}
JOB = {"action": "train", "kind": "classification", "dataset": "songs", "promote": PROMOTE}
SCORE = {"action": "score", "kind": "analysis"}

Json = dict[str, Any]

WRONG: list[tuple[Json, str, str]] = [
    (SCORE, "/promote", "invalid_request"),
    ({"promote": {}}, "/promote/alias", "invalid_request"),
    ({"promote": {"alias": "3"}}, "/promote/alias", "alias_invalid"),
    ({"promote": {"alias": ""}}, "/promote/alias", "alias_invalid"),
    ({"promote": {"alias": "latest"}}, "/promote/alias", "alias_invalid"),
    ({"promote": {"alias": "a" * 65}}, "/promote/alias", "alias_invalid"),
    ({"promote": {"alias": "champion", "version": 3}}, "/promote/version", "invalid_request"),
    ({"promote": "champion"}, "/promote", "invalid_request"),
    ({"promote": {**PROMOTE, "require": {"metric": "accuracy"}}}, "/promote/require/not_worse_than", "invalid_request"),
    ({"promote": {**PROMOTE, "require": {**REQUIRE, "metric": "mae"}}}, "/promote/require/metric", "invalid_request"),
    (
        {"promote": {**PROMOTE, "require": {**REQUIRE, "not_worse_than": "latest"}}},
        "/promote/require/not_worse_than",
        "alias_invalid",
    ),
]


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS)


def refusal(answer: Any) -> tuple[int, str, list[str]]:
    return answer.status_code, answer.json["code"], [fault["pointer"] for fault in answer.json["errors"]]


def test_a_training_shows_what_it_is_to_be_promoted_to(caller: Caller) -> None:
    asked = caller.call("POST", "/v1/jobs", JOB)
    plain = caller.call("POST", "/v1/jobs", {name: value for name, value in JOB.items() if name != "promote"})
    ungated = caller.call("POST", "/v1/jobs", {**JOB, "promote": {"alias": "challenger"}})

    assert (asked.status_code, asked.json["promote"]) == (202, PROMOTE)
    assert caller.call("GET", f"/v1/jobs/{asked.json['id']}").json["promote"] == PROMOTE
    assert (plain.status_code, plain.json["promote"]) == (202, None)
    assert (ungated.status_code, ungated.json["promote"]) == (202, {"alias": "challenger"})


@pytest.mark.parametrize(("wrong", "pointer", "code"), WRONG)
def test_what_is_wrong_is_told_by_its_place(caller: Caller, wrong: Json, pointer: str, code: str) -> None:
    job = {**JOB, **wrong}

    assert refusal(caller.call("POST", "/v1/jobs", job)) == (422, code, [pointer])
    assert refusal(caller.call("POST", "/v1/estimate", job)) == (422, code, [pointer])


@pytest.mark.parametrize(("wrong", "pointer", "code"), WRONG)
def test_a_schedule_with_such_a_job_is_refused_when_it_is_made(
    caller: Caller, wrong: Json, pointer: str, code: str
) -> None:
    answer = caller.call("POST", "/v1/schedules", {"name": "nightly", "cron": "0 3 * * *", "job": {**JOB, **wrong}})

    assert refusal(answer) == (422, code, [f"/job{pointer}"])


def test_a_schedule_submits_a_job_that_will_be_promoted(caller: Caller) -> None:
    made = caller.call("POST", "/v1/schedules", {"name": "nightly", "cron": "0 3 * * *", "job": JOB})

    ran = caller.call("POST", "/v1/schedules/nightly/run")

    assert made.json["job"]["promote"] == PROMOTE
    assert (ran.status_code, ran.json["promote"]) == (202, PROMOTE)
