"""A search at the door: what is refused and why, its trials in lists, and its leader board."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared import studies
from shared.database import Database
from shared.settings import Settings
from shared.tables import jobs as job_table
from tests import factories
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller, a_key

TUNE = {"action": "tune", "kind": "classification", "dataset": "songs"}
UNITS = {"type": "int", "low": 4, "high": 8}

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return make_dataset(sql, tenant, name="songs", profile=SONGS)


def submit(caller: Caller, **params: Any) -> Any:
    return caller.call("POST", "/v1/jobs", {**TUNE, "params": params})


def plan(database: Database, search: str, count: int = 3) -> list[str]:
    """The trials of a search that a worker has planned."""
    with database.transaction() as sql:
        claim = factories.claim(sql)
        assert claim.job_id == search
        studies.submit_trials(sql, claim, count=count, expected_s=1.0)
        return [trial.id for trial in studies.list_trials(sql, search)]


def test_every_kind_that_trains_can_be_searched_for(caller: Caller) -> None:
    kinds = {kind["name"]: kind["actions"] for kind in caller.call("GET", "/v1/kinds").json["data"]}

    assert {name for name, actions in kinds.items() if "tune" in actions} == {
        name for name, actions in kinds.items() if "train" in actions
    }
    schema = kinds["classification"]["tune"]["params"]
    assert set(schema["properties"]) >= {"train", "space", "sampler", "halving", "metric", "trials", "winner"}
    assert schema["properties"]["space"]["default"]["learning_rate"]["log"] is True


def test_a_search_without_a_word_is_taken(caller: Caller) -> None:
    taken = submit(caller)

    assert (taken.status_code, taken.json["params"]) == (202, {})
    assert taken.json["links"]["trials"] == f"/v1/jobs/{taken.json['id']}/trials"
    assert caller.call("POST", "/v1/estimate", TUNE).status_code == 200


WRONG: list[tuple[Json, str, str]] = [
    ({"space": {"learning_rat": UNITS}}, "/params/space/learning_rat", "space_empty"),
    ({"space": {"learning_rate": {"type": "float", "low": 20.0, "high": 30.0}}}, "/params/space/learning_rate",
     "space_empty"),
    ({"space": {"hidden": {"type": "choice", "values": [[{"units": 10_000_000}]]}}}, "/params/space/hidden",
     "space_empty"),
    ({"space": {"hidden": {"type": "layers", "count": UNITS, "each": {"unit": UNITS}}}}, "/params/space/hidden",
     "space_empty"),
    ({"space": {}}, "/params/space", "invalid_request"),
    ({"space": {"batch_size": {"type": "int", "low": 9, "high": 4}}}, "/params/space/batch_size", "invalid_request"),
    ({"space": {"batch_size": {"low": 4, "high": 9}}}, "/params/space/batch_size", "invalid_request"),
    ({"space": {"batch_size": {**UNITS, "when": {"optimizer": ["sgd"]}}}}, "/params/space/batch_size", "space_empty"),
    ({"metric": "mae"}, "/params/metric", "invalid_request"),
    ({"trials": 0}, "/params/trials", "invalid_request"),
    ({"trials": 1001}, "/params/trials", "invalid_request"),
    ({"finalists": 21}, "/params/finalists", "invalid_request"),
    ({"finalists": -1}, "/params/finalists", "invalid_request"),
    ({"train": {"epochs": 0}}, "/params/train/epochs", "invalid_request"),
    ({"halving": {"factor": 1}}, "/params/halving/factor", "invalid_request"),
    ({"min_gain_per_hour": -1.0}, "/params/min_gain_per_hour", "invalid_request"),
    ({"sampler": "grid"}, "/params/sampler", "invalid_request"),
    ({"epochs": 3}, "/params/epochs", "invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "pointer", "code"), WRONG)
def test_what_cannot_be_searched_for_is_told_by_its_place(
    caller: Caller, params: Json, pointer: str, code: str
) -> None:
    refused = submit(caller, **params)

    assert (refused.status_code, refused.json["code"]) == (422, code)
    assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]


def test_a_name_that_nothing_has_is_refused_however_seldom_it_is_drawn(caller: Caller) -> None:
    space = {
        "optimizer": {"type": "choice", "values": ["sgd", "adam", "adamw", "rmsprop"]},
        "momentun": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
    }

    refused = submit(caller, space=space)

    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/params/space/momentun")


def test_trials_stand_below_their_search_alone(caller: Caller, database: Database) -> None:
    search = submit(caller).json["id"]
    trials = plan(database, search)

    listed = caller.call("GET", "/v1/jobs").json["data"]
    below = caller.call("GET", f"/v1/jobs?parent={search}").json["data"]

    assert [job["id"] for job in listed] == [search]
    assert sorted(job["id"] for job in below) == trials
    assert {(job["parent"], job["action"]) for job in below} == {(search, "trial")}
    assert caller.call("GET", f"/v1/jobs/{trials[0]}").json["params"] == {"number": 0}


def test_the_leader_board_has_the_best_first(caller: Caller, database: Database, tenant: str) -> None:
    search = submit(caller, metric="log_loss").json["id"]
    trials = plan(database, search, 5)
    ends = [
        {"state": "succeeded", "result": {"value": 0.7, "epochs": 5, "stopped_by": None}},
        {"state": "succeeded", "result": {"value": None, "epochs": 2, "stopped_by": "halving"}},
        {"state": "failed", "error": {"code": "training_diverged"}},
        {"state": "succeeded", "result": {"value": 0.3, "epochs": 9, "stopped_by": "early_stopping"}},
    ]
    with database.of(tenant).transaction() as sql:
        for number, end in enumerate(ends):
            params = {"number": number, "axes": {"seed": number}}
            sql.execute(update(job_table).where(job_table.c.id == trials[number]).values(params=params, **end))

    board = caller.call("GET", f"/v1/jobs/{search}/trials").json
    second = caller.call("GET", f"/v1/jobs/{search}/trials?limit=2&cursor=2").json

    assert [trial["number"] for trial in board["data"]] == [3, 0, 1, 2, 4]
    assert (board["total"], board["next_cursor"], board["stopped"]) == (5, None, None)
    assert board["data"][3]["error"] == "training_diverged"
    assert board["data"][0] | {"compute_s": None} == {
        "number": 3, "job": trials[3], "state": "succeeded", "axes": {"seed": 3}, "final": False, "value": 0.3,
        "metric": "log_loss", "epochs": 9, "stopped_by": "early_stopping", "progress": None, "error": None,
        "compute_s": None,
    }  # fmt: skip
    assert [trial["number"] for trial in second["data"]] == [1, 2] and second["next_cursor"] == "4"


def test_finals_stand_before_the_trials_that_they_decide_between(
    caller: Caller, database: Database, tenant: str
) -> None:
    search = submit(caller).json["id"]
    trials = plan(database, search, 2)
    with database.of(tenant).transaction() as sql:
        params = [{"number": 0, "axes": {"seed": 1}}, {"number": 1, "axes": {}, "final": True}]
        for trial, said, value in zip(trials, params, (0.9, 0.6), strict=True):
            change = {"params": said, "state": "succeeded", "result": {"value": value}}
            sql.execute(update(job_table).where(job_table.c.id == trial).values(**change))

    board = caller.call("GET", f"/v1/jobs/{search}/trials").json["data"]

    assert [(trial["number"], trial["final"], trial["axes"]) for trial in board] == [
        (1, True, {}),
        (0, False, {"seed": 1}),
    ]


def test_an_estimate_of_a_search_has_its_finals_in_it_where_it_has_any(
    caller: Caller, database: Database, tenant: str
) -> None:
    def expected_s(dataset: str, **params: Any) -> float:
        body = {**TUNE, "dataset": dataset, "params": {"trials": 30, "halving": None, **params}}
        return float(caller.call("POST", "/v1/estimate", body).json["expected_s"])

    with database.transaction() as sql:
        make_dataset(sql, tenant, name="many", profile={**SONGS, "rows": 5000})

    assert expected_s("songs") == pytest.approx(expected_s("songs", finalists=0) * (30 + 6 * 5) / 30, rel=1e-3)
    assert expected_s("many") == expected_s("many", finalists=0)
    in_folds = {"train": {"validation": {"folds": 3}}}
    assert expected_s("songs", **in_folds) == expected_s("songs", **in_folds, finalists=0)


def test_only_a_search_has_trials_and_only_its_owner_sees_them(
    client: FlaskClient, caller: Caller, database: Database, settings: Settings, other: str
) -> None:
    training = caller.call("POST", "/v1/jobs", {**TUNE, "action": "train"}).json["id"]
    search = submit(caller).json["id"]
    stranger = Caller(client, a_key(database, settings, other))

    assert caller.call("GET", f"/v1/jobs/{training}/trials").status_code == 404
    assert stranger.call("GET", f"/v1/jobs/{search}/trials").status_code == 404
    assert stranger.call("GET", f"/v1/jobs?parent={search}").json["data"] == []


def test_a_trial_cannot_be_asked_for(caller: Caller) -> None:
    refused = caller.call("POST", "/v1/jobs", {**TUNE, "action": "trial"})

    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/action")


def test_a_search_can_be_promoted_and_scheduled(caller: Caller) -> None:
    promote = {"alias": "champion", "require": {"metric": "accuracy", "not_worse_than": "champion"}}
    schedule = {"name": "weekly", "cron": "0 3 * * 1", "job": {**TUNE, "promote": promote}}

    assert caller.call("POST", "/v1/jobs", {**TUNE, "promote": promote}).status_code == 202
    assert caller.call("POST", "/v1/schedules", schedule).status_code == 201
