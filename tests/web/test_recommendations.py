"""Lists at once through HTTP: a real web process, a real answering worker, and what is refused at the door."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from shared import ids, pseudonyms, questions
from shared.database import Database, now
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import answers, models, versions
from shared.tables import datasets as dataset_table
from shared.up import environment_of
from tests import nursery
from tests.factories import make_dataset, make_job
from tests.waiting import until
from tests.web.calling import Caller
from tests.web.serving import Server
from tests.worker import plays as made_plays
from tests.worker import working
from tests.worker.recommended import put_version, store
from worker.post import Post

PLAYS = made_plays.interactions(made_plays.make(60, 80, seed=4))

Said = tuple[int, Any, dict[str, str]]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: two rows are read."""
    return sqlite_url


@pytest.fixture
def post(redis: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(redis, database, storage)


@pytest.fixture
def plays(post: Post, tenant: str, tmp_path: Path) -> str:
    """plays@1, and taste@1 that has learned from it."""
    dataset = store(post, tenant, tmp_path / "plays", PLAYS, name="plays")
    put_version(post, tenant, dataset, PLAYS)
    return dataset


@pytest.fixture
def answering(redis: Settings) -> Iterator[None]:
    environment = {**os.environ, **environment_of(redis)}
    started = nursery.start("worker.answers", env=environment)
    assert until(lambda: questions.is_answered(redis))
    yield
    started.kill()
    started.wait()


def ask(server: Server, reference: str = "taste@1", **body: Any) -> Said:
    return server.call("POST", f"/v1/models/{reference}/recommend", body)


def patiently(server: Server, reference: str = "taste@1", **body: Any) -> Said:
    """Ask again as long as a 503 says when."""
    said = list[Said]()

    def is_answered() -> bool:
        said.append(ask(server, reference, **body))
        return said[-1][0] != 503

    assert until(is_answered)
    return said[-1]


def heard_by(user: int) -> set[str]:
    return {PLAYS.items[item] for item in PLAYS.item[PLAYS.user == user].tolist()}


def test_a_listener_is_answered_with_items_scores_and_reasons(server: Server, plays: str, answering: None) -> None:
    status, said, _ = patiently(server, user=PLAYS.users[3], k=5)

    assert status == 200, said
    assert (said["model"], said["dataset"], said["basis"], said["is_known"]) == ("taste@1", "plays@1", "history", True)
    assert len(said["data"]) == 5
    for each in said["data"]:
        assert each["item"] not in heard_by(3)
        assert each["reason"]["because_of"] in heard_by(3)
        assert each["score"] > 0


def test_whoever_was_never_seen_is_answered_by_items(server: Server, plays: str, answering: None) -> None:
    status, said, _ = patiently(server, items=["i00001", {"item": "i00002", "weight": 3}, "unheard of"], k=4)

    assert status == 200, said
    assert (said["dataset"], said["basis"], said["unknown_items"]) == (None, "history", ["unheard of"])
    assert {each["reason"]["because_of"] for each in said["data"] if each["reason"]} <= {"i00001", "i00002"}


@pytest.mark.parametrize("reference", ["taste", "taste@1", "taste@latest"])
def test_a_model_is_named_as_everywhere(server: Server, plays: str, answering: None, reference: str) -> None:
    assert patiently(server, reference, items=["i00001"])[1]["model"] == "taste@1"


def test_filters_and_a_cap_hold(server: Server, plays: str, answering: None) -> None:
    filters = {"deny": {"licence": ["all rights reserved"]}}
    status, said, _ = patiently(server, user=PLAYS.users[0], filters=filters, cap={"column": "artist", "at_most": 1})

    assert status == 200, said
    rows = {item: PLAYS.catalogue.slice(place, 1).to_pylist()[0] for place, item in enumerate(PLAYS.items)}
    chosen = [rows[each["item"]] for each in said["data"]]
    assert chosen
    assert all(row["licence"] != "all rights reserved" for row in chosen)
    assert len({row["artist"] for row in chosen}) == len(chosen)


def test_what_is_like_an_item(server: Server, plays: str, answering: None) -> None:
    patiently(server, items=["i00001"])
    status, said, _ = server.call("GET", "/v1/models/taste/similar?item=i00001&k=3")

    assert (status, said["item"], said["model"], len(said["data"])) == (200, "i00001", "taste@1", 3)
    assert server.call("GET", "/v1/models/taste/similar?item=none")[0] == 404
    assert server.call("GET", "/v1/models/none/similar?item=i00001")[0] == 404


def test_nothing_is_written(server: Server, plays: str, answering: None, database: Database) -> None:
    path, body = "/v1/models/taste/recommend", {"items": ["i00001"]}
    patiently(server, **body)
    first = server.call("POST", path, body, **{"Idempotency-Key": "once"})
    again = server.call("POST", path, {"items": ["i00002"]}, **{"Idempotency-Key": "once"})

    # A question changes nothing, so another one under the same key does no harm.
    assert (first[0], again[0]) == (200, 200)
    assert server.call("POST", path, body, **{"Idempotency-Key": "with space"})[0] == 400
    with database.reading() as sql:
        assert sql.execute(select(answers)).all() == []


def test_a_pseudonymous_listener_is_found_by_the_name_that_the_client_knows(
    server: Server, post: Post, tenant: str, tmp_path: Path, answering: None
) -> None:
    names = {user: pseudonyms.of(post.settings.pepper, tenant, "hidden", user) for user in PLAYS.users}
    order = sorted(range(len(PLAYS.users)), key=lambda place: names[PLAYS.users[place]])
    position = {place: rank for rank, place in enumerate(order)}
    hidden = made_plays.interactions(made_plays.make(60, 80, seed=4))
    hidden.users[:] = [names[PLAYS.users[place]] for place in order]
    hidden.user[:] = [position[user] for user in PLAYS.user.tolist()]
    dataset = store(post, tenant, tmp_path / "h", hidden, name="hidden", pseudonyms=True)
    put_version(post, tenant, dataset, hidden)

    by_name, by_pseudonym = (
        patiently(server, user=user, k=5)[1] for user in (PLAYS.users[3], names[PLAYS.users[3]])
    )  # fmt: skip
    assert by_name["is_known"]
    assert by_name["data"] == by_pseudonym["data"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, None),
        ({"user": "u00001", "items": ["i00001"]}, None),
        ({"items": []}, "/items"),
        ({"items": ["i00001"], "dataset": "plays"}, None),
        ({"items": ["i00001"], "k": 0}, "/k"),
        ({"items": ["i00001"], "k": 1001}, "/k"),
        ({"items": [{"item": "i00001", "weight": -1}]}, "/items/0"),
        ({"items": ["i00001"], "diversity": 1.5}, "/diversity"),
        ({"items": ["i00001"], "filters": {"allow": {"artist": []}}}, "/filters/allow/artist"),
        ({"items": ["i00001"], "speed": 1}, "/speed"),
        ({"user": "u00001", "dataset": "none"}, "/dataset"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_the_door(
    caller: Caller, plays: str, body: dict[str, Any], pointer: str | None
) -> None:
    answer = caller.call("POST", "/v1/models/taste/recommend", body)

    assert answer.status_code == 422, answer.json
    places = [error["pointer"] for error in answer.json["errors"]]
    assert any(place.startswith(pointer) if pointer else place == "" for place in places), answer.json


def test_a_model_of_another_kind_recommends_nothing(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        model = ids.new("mdl")
        named = {"id": model, "tenant": tenant, "name": "rock", "kind": "classification", "created_at": now()}
        sql.execute(insert(models).values(named))
        row = {
            "id": ids.new("ver"), "tenant": tenant, "model": model, "number": 1, "job": make_job(sql, tenant),
            "fence": 1, "files": [],
            "metrics": {}, "baselines": {}, "warnings": [], "lineage": {}, "parameters": 1, "created_at": now(),
        }  # fmt: skip
        sql.execute(insert(versions).values(**row))

    answer = caller.call("POST", "/v1/models/rock/recommend", {"items": ["a"]})
    assert (answer.status_code, answer.json["code"]) == (409, "not_a_recommender")


def test_a_dataset_without_listeners_is_refused(caller: Caller, plays: str, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="songs")

    answer = caller.call("POST", "/v1/models/taste/recommend", {"user": "u00001", "dataset": "songs"})
    assert (answer.status_code, answer.json["code"]) == (409, "not_interactions")


def test_an_erased_dataset_is_told(caller: Caller, plays: str, database: Database) -> None:
    with database.transaction() as sql:
        sql.execute(update(dataset_table).values(state="erased"))

    answer = caller.call("POST", "/v1/models/taste/recommend", {"user": "u00001"})
    assert (answer.status_code, answer.json["code"]) == (409, "dataset_erased")


def test_with_nobody_to_answer_it_says_when_to_ask_again(server: Server, plays: str) -> None:
    status, said, headers = ask(server, items=["i00001"])

    assert (status, said["code"]) == (503, "answer_late")
    assert int(headers["retry-after"]) >= 1


def test_another_tenants_model_is_as_one_that_is_not_there(
    caller: Caller, post: Post, other: str, tmp_path: Path
) -> None:
    dataset = store(post, other, tmp_path / "plays", PLAYS, name="plays")
    put_version(post, other, dataset, PLAYS)

    foreign, unknown = (
        caller.call("POST", f"/v1/models/{name}/recommend", {"items": ["i00001"]}) for name in ("taste", "none")
    )
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert {**foreign.json, "request_id": ""} == {**unknown.json, "request_id": ""}
