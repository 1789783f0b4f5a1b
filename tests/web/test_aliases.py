"""Aliases at the door: their history, the way back, the gate, and what is refused."""

from typing import Any

import pytest
from sqlalchemy import update

from shared import models
from shared.database import Database
from shared.settings import Settings
from shared.tables import jobs as job_table
from tests import factories
from tests.web.calling import Caller, a_key
from tests.web.registry import lineage, make_version, metric
from web.requests import AliasMove

CHAMPION = "/v1/models/songs/aliases/champion"

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> None:
    """Versions 1 to 3, each better than the one before."""
    with database.transaction() as sql:
        for accuracy in (0.6, 0.7, 0.8):
            make_version(sql, tenant, accuracy=accuracy)


def move(caller: Caller, version: int, **said: Any) -> Any:
    return caller.call("PUT", CHAMPION, {"version": version, **said})


def told(caller: Caller) -> list[Json]:
    moves: list[Json] = caller.call("GET", f"{CHAMPION}/history").json["data"]
    return moves


def test_every_move_is_remembered_with_who_and_why(caller: Caller) -> None:
    move(caller, 1)
    require = {"metric": "accuracy", "not_worse_than": "champion", "min_rows": 20}
    move(caller, 3, require=require, reason="the night's training")
    back = caller.call("POST", f"{CHAMPION}/rollback")

    assert (back.status_code, back.json["version"], back.json["rolled_back_from"]) == (200, 1, 3)
    last, second, first = told(caller)
    assert [(each["move"], each["version"], each["from"]) for each in (first, second, last)] == [
        (1, 1, None), (2, 3, 1), (3, 1, 3),
    ]  # fmt: skip
    assert [each["how"] for each in (first, second, last)] == ["moved", "moved", "rolled_back"]
    assert {each["key"] for each in (first, second, last)} == {"test"}
    assert (second["reason"], first["reason"]) == ("the night's training", None)
    assert second["gate"] == {"require": require, "candidate": 0.8, "rival": 0.6, "rival_version": 1}
    assert caller.call("GET", f"{CHAMPION}?at={last['at']}").json["version"] == 1
    assert caller.call("GET", f"{CHAMPION}?at={second['at']}").json["version"] in (1, 3)


def test_a_long_history_comes_in_pages(caller: Caller) -> None:
    for version in (1, 2, 3):
        move(caller, version)

    page = caller.call("GET", f"{CHAMPION}/history?limit=2").json
    rest = caller.call("GET", f"{CHAMPION}/history?limit=2&cursor={page['next_cursor']}").json

    assert [(each["version"], each["from"]) for each in page["data"] + rest["data"]] == [(3, 2), (2, 1), (1, None)]
    assert rest["next_cursor"] is None
    assert caller.call("GET", f"{CHAMPION}/history?cursor=0").json == {"data": [], "next_cursor": None}


def test_the_aliases_of_a_model_are_listed_with_their_last_move(caller: Caller) -> None:
    move(caller, 1)
    move(caller, 2)
    caller.call("PUT", "/v1/models/songs/aliases/challenger", {"version": 3})

    found = caller.call("GET", "/v1/models/songs/aliases").json["data"]

    assert [(each["alias"], each["version"], each["last"]["from"]) for each in found] == [
        ("challenger", 3, None), ("champion", 2, 1),
    ]  # fmt: skip


def test_the_gate_tells_every_reason_with_its_place(caller: Caller) -> None:
    move(caller, 3)
    require = {"metric": "accuracy", "not_worse_than": "champion", "at_least": 0.75, "min_rows": 100}

    refused = move(caller, 1, require=require)

    assert (refused.status_code, refused.json["code"]) == (409, "gate_refused")
    assert [fault["pointer"] for fault in refused.json["errors"]] == [
        "/require/at_least", "/require/not_worse_than", "/require/min_rows",
    ]  # fmt: skip
    assert all(fault["message"] in refused.json["detail"] for fault in refused.json["errors"])
    assert "20 rows, at least 100 are required" in refused.json["detail"]
    assert len(told(caller)) == 1


def test_a_metric_that_the_kind_lacks_is_answered_with_those_that_it_has(caller: Caller) -> None:
    refused = move(caller, 1, require={"metric": "mae", "at_least": 0.5})

    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/require/metric")
    assert "accuracy" in refused.json["detail"] and "'mae'" in refused.json["detail"]


@pytest.mark.parametrize(
    ("require", "pointer"),
    [
        ({}, "/require/metric"),
        ({"metric": "accuracy"}, "/require/not_worse_than"),
        ({"metric": "accuracy", "by": 0.1, "at_least": 0.5}, "/require/not_worse_than"),
        ({"metric": "accuracy", "significant": True}, "/require/not_worse_than"),
        ({"metric": "accuracy", "not_worse_than": "champion", "by": -0.1}, "/require/by"),
        ({"metric": "accuracy", "min_rows": 0}, "/require/min_rows"),
        ({"metric": "accuracy", "at_least": 0.5, "significant": "yes"}, "/require/significant"),
        ({"metric": "accuracy", "at_least": "high"}, "/require/at_least"),
        ({"metric": "accuracy", "at_least": 0.5, "at_most": 0.9}, "/require/at_most"),
    ],
)
def test_a_gate_that_says_nothing_clear_is_refused(caller: Caller, require: Json, pointer: str) -> None:
    refused = move(caller, 1, require=require)

    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")
    assert pointer in [fault["pointer"] for fault in refused.json["errors"]]


def test_who_expects_another_version_is_told_where_it_points(caller: Caller) -> None:
    move(caller, 1)
    move(caller, 2, expected_version=1)

    late = move(caller, 3, expected_version=1)
    back = caller.call("POST", f"{CHAMPION}/rollback?expected_version=1")

    assert (late.status_code, late.json["code"]) == (409, "alias_moved")
    assert "points to version 2 by now, not to version 1" in late.json["detail"]
    assert (back.status_code, back.json["code"]) == (409, "alias_moved")
    assert caller.call("POST", f"{CHAMPION}/rollback?expected_version=2").json["version"] == 1


def test_the_same_key_sent_twice_rolls_back_once(caller: Caller) -> None:
    for version in (1, 2, 3):
        move(caller, version)

    ends = [caller.call("POST", f"{CHAMPION}/rollback", **{"Idempotency-Key": "once"}) for _ in range(2)]

    assert [end.json["version"] for end in ends] == [2, 2]
    assert len(told(caller)) == 4


def test_what_has_pointed_nowhere_else_cannot_be_rolled_back(caller: Caller) -> None:
    never = caller.call("POST", f"{CHAMPION}/rollback")
    move(caller, 1)
    once = caller.call("POST", f"{CHAMPION}/rollback")

    for refused in (never, once):
        assert (refused.status_code, refused.json["code"]) == (409, "nothing_to_roll_back")
    assert caller.call("GET", "/v1/models/songs/aliases/nobody/history?cursor=0").status_code == 404


def test_of_a_deleted_model_nothing_is_rolled_back_and_a_new_one_has_no_past(
    caller: Caller, database: Database, tenant: str
) -> None:
    move(caller, 1)
    move(caller, 2)
    assert caller.call("DELETE", "/v1/models/songs").status_code == 204

    gone = caller.call("POST", f"{CHAMPION}/rollback")
    with database.transaction() as sql:
        make_version(sql, tenant)
    move(caller, 1)
    anew = caller.call("POST", f"{CHAMPION}/rollback")

    assert gone.status_code == 404
    assert (anew.status_code, anew.json["code"]) == (409, "nothing_to_roll_back")


def test_anothers_aliases_are_as_if_they_were_not_there(
    caller: Caller, client: Any, database: Database, settings: Settings, other: str
) -> None:
    move(caller, 1)
    move(caller, 2)
    stranger = Caller(client, a_key(database, settings, other))

    for method, path in (
        ("GET", "/v1/models/songs/aliases"), ("GET", f"{CHAMPION}/history"), ("POST", f"{CHAMPION}/rollback"),
    ):  # fmt: skip
        theirs, nobodys = (stranger.call(method, path.replace("songs", name)) for name in ("songs", "nosuch"))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json["detail"] == nobodys.json["detail"]


def test_what_comes_with_the_service_has_no_moves_and_cannot_be_moved(caller: Caller) -> None:
    listed = caller.call("GET", "/v1/models/etude.tagger-mtt/aliases")
    back = caller.call("POST", "/v1/models/etude.tagger-mtt/aliases/champion/rollback")

    assert listed.json == {"data": []}
    assert (back.status_code, back.json["code"]) == (409, "model_builtin")


def test_a_difference_in_pairs_is_unknown_to_who_moves_by_hand(caller: Caller) -> None:
    move(caller, 1)

    refused = move(caller, 3, require={"metric": "accuracy", "not_worse_than": "champion", "significant": True})

    assert refused.status_code == 409
    assert "have a training promote what it makes" in refused.json["detail"]


def test_a_leak_that_was_suspected_does_not_pass(caller: Caller, database: Database, tenant: str) -> None:
    warnings = [{"code": "leakage_suspected", "detail": "rows are shared"}]
    with database.transaction() as sql:
        leaky = make_version(sql, tenant, warnings=warnings, metrics={"validation": {"accuracy": metric(0.99)}})

    refused = move(caller, leaky, require={"metric": "accuracy", "no_leakage_warning": True})

    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/require/no_leakage_warning"]


def test_a_gate_as_clients_before_sent_it_reads_as_it_did() -> None:
    sent = {"version": 3, "require": {"metric": "accuracy", "not_worse_than": "champion"}}

    assert AliasMove.model_validate(sent).model_dump(exclude_defaults=True) == sent


def evaluate(database: Database, tenant: str, version: str, against: str, difference: float, low: float) -> None:
    """An evaluation of two versions on the same rows, as a worker has ended it."""
    told = {"accuracy": {"difference": difference, "interval": [low, difference + 0.1], "p": 0.01}}
    result = {"rows": 500, "against": {"model": against, "differences": told}}
    with database.of(tenant).transaction() as sql:
        job = factories.make_job(
            sql, tenant, action="evaluate", version=version, params={"against": against}, model="songs"
        )
        ended = {"state": "succeeded", "result": result}
        sql.execute(update(job_table).where(job_table.c.id == job).values(ended))


def test_an_evaluation_of_both_tells_a_gate_how_far_apart_they_are(
    caller: Caller, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        old = make_version(sql, tenant, accuracy=0.7)
        new = make_version(sql, tenant, accuracy=0.8, lineage=lineage("ds_2"))
        candidate = models.find_version(sql, tenant, "songs", new).id
    require = {"metric": "accuracy", "not_worse_than": "champion", "significant": True}
    path = "/v1/models/songs/aliases/champion"
    assert caller.call("PUT", path, {"version": old}).status_code == 200

    unknown = caller.call("PUT", path, {"version": new, "require": require})
    evaluate(database, tenant, candidate, f"songs@{old}", 0.05, -0.01)
    by_chance = caller.call("PUT", path, {"version": new, "require": require})
    evaluate(database, tenant, candidate, f"songs@{old}", 0.05, 0.01)
    passed = caller.call("PUT", path, {"version": new, "require": require})

    assert (unknown.status_code, by_chance.status_code, passed.status_code) == (409, 409, 200)
    assert "`against`" in unknown.json["detail"]
    assert [fault["pointer"] for fault in by_chance.json["errors"]] == ["/require/significant"]
    history = caller.call("GET", f"{path}/history").json["data"]
    assert history[0]["gate"]["difference"] == 0.05 and history[0]["gate"]["rival"] == pytest.approx(0.75)


def test_an_evaluation_in_which_it_was_worse_closes_the_gate(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        old = make_version(sql, tenant, accuracy=0.7)
        new = make_version(sql, tenant, accuracy=0.8, lineage=lineage("ds_2"))
        candidate = models.find_version(sql, tenant, "songs", new).id
    path, require = "/v1/models/songs/aliases/champion", {"metric": "accuracy", "not_worse_than": "champion"}
    caller.call("PUT", path, {"version": old})
    evaluate(database, tenant, candidate, f"songs@{old}", -0.02, -0.09)

    refused = caller.call("PUT", path, {"version": new, "require": require})

    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/require/not_worse_than"]
