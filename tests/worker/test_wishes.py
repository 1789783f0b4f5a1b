"""Lists that are answered at once: by a real answering worker, through a real Redis."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Row, update

from shared import models
from shared.database import Database
from shared.errors import InvalidRequest, NotAllowedNow, NotFound
from shared.list_params import ListParams
from shared.questions import Asker, Wish
from shared.settings import Settings
from shared.tables import datasets as dataset_table
from shared.tables import outputs
from tests.worker import plays as made_plays
from tests.worker.recommended import make_version, run, store
from worker import tastes
from worker.answers import Answering
from worker.interactions import stored
from worker.interactions.stored import Interactions
from worker.runner import Post

Json = dict[str, Any]

PLAYS = made_plays.make(150, 160, seed=5)
METHODS: dict[str, Json] = {
    "neighbours": {"neighbours": {"neighbours": 30, "shrink": 2.0}},
    "ease": {"ease": {"rank": "full", "l2": 20.0, "score_power": 0.1, "ridge_power": 0.5}},
    "ease by vectors": {"ease": {"rank": 12, "l2": 20.0, "score_power": 0.1, "ridge_power": 0.5}},
    "als": {"als": {"alpha": 10.0, "regularization": 5.0, "factors": 12, "iterations": 4}},
    "popularity": {},
}
RULES: dict[str, Json] = {
    "plain": {},
    "all rules": {
        "diversity": 0.4, "popularity_penalty": 0.2, "cap": {"column": "artist", "at_most": 1},
        "filters": {"deny": {"tags": ["remix"]}, "allow": {"released": {"min": "2003-01-01"}}}, "min_listeners": 2,
    },
    "heard again": {"exclude_heard": False},
}  # fmt: skip


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: an answer reads two rows."""
    return sqlite_url


@pytest.fixture
def worker(redis: Settings) -> Iterator[Answering]:
    """An answering worker in a thread of this process."""
    made, stopped = Answering(redis), threading.Event()
    thread = threading.Thread(target=made.run, args=[stopped])
    thread.start()
    yield made
    stopped.set()
    thread.join()


@pytest.fixture
def asker(redis: Settings, database: Database, worker: Answering) -> Iterator[Asker]:
    made = Asker(dataclasses.replace(redis, answer_s=30.0), database.cells)
    yield made
    made.close()


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return store(post, tenant, tmp_path / "plays", made_plays.interactions(PLAYS))


@pytest.fixture
def version(post: Post, tenant: str, dataset: str) -> Row[Any]:
    return make_version(post, tenant, dataset)


def wish(tenant: str, version: Row[Any], **values: Any) -> Wish:
    wanted = ListParams(**values.pop("wanted", {}))
    rest = {"dataset": None, "user": None, "played": None, "like": None, **values}
    return Wish(tenant=tenant, version=version.id, wanted=wanted, **rest)


def lists_of(post: Post, job: Row[Any]) -> list[Json]:
    with post.database.reading() as sql:
        chosen = outputs.select().where(outputs.c.job == job.id, outputs.c.name == "predictions.jsonl")
        content = post.storage.get(sql.execute(chosen).one().key)
    return [json.loads(line) for line in content.splitlines()]


@pytest.mark.parametrize("method", METHODS)
def test_the_night_and_the_moment_agree_item_for_item(
    post: Post, tenant: str, dataset: str, asker: Asker, method: str
) -> None:
    version = make_version(post, tenant, dataset, model=method.split()[0], weighting="damped", **METHODS[method])

    for rules in RULES.values():
        nightly = lists_of(post, run(post, tenant, version, dataset, k=12, **rules))
        assert len(nightly) == 150
        for row in nightly[::5]:
            asked = wish(tenant, version, dataset=dataset, user=row["key"], wanted={"k": 12, **rules})
            said = asker.ask(asked)
            assert [each["item"] for each in said["data"]] == row["items"]
            assert np.float32([each["score"] for each in said["data"]]).tolist() == np.float32(row["scores"]).tolist()
            reasons = [each["reason"] and each["reason"]["because_of"] for each in said["data"]]
            assert (reasons, said["basis"]) == (row["because"], row["basis"])


@pytest.mark.parametrize("method", ["als", "ease by vectors"])
def test_they_agree_where_thousands_of_new_items_are_alike(
    post: Post, tenant: str, asker: Asker, tmp_path: Path, method: str
) -> None:
    plays, new = made_plays.interactions(PLAYS), 3000
    columns = {name: plays.catalogue.column(name).to_pylist() for name in ("artist", "tags")}
    # Of the same labels by turns: eight sorts of new items, of which each is like all of its sort.
    grown = {name: [*cells, *(cells[place % 8] for place in range(new))] for name, cells in columns.items()}
    items = [*plays.items, *(f"new{place:04d}" for place in range(new))]
    more = Interactions(
        plays.users, items, plays.user, plays.item, plays.weight, plays.time, None, pa.table({"is_new": [
            place >= len(plays.items) for place in range(len(items))
        ], **grown}),
    )  # fmt: skip
    dataset = store(post, tenant, tmp_path / "new", more)
    version = make_version(
        post, tenant, dataset, model=method.split()[0], weighting="damped", **METHODS[method]
    )  # fmt: skip

    for rules in ({}, {"filters": {"allow": {"is_new": [True]}}}, {"diversity": 0.3, "popularity_penalty": 0.5}):
        nightly = lists_of(post, run(post, tenant, version, dataset, k=25, **rules))
        for row in nightly[::10]:
            said = asker.ask(wish(tenant, version, dataset=dataset, user=row["key"], wanted={"k": 25, **rules}))
            assert [each["item"] for each in said["data"]] == row["items"]


def test_whoever_was_never_seen_is_answered_by_what_they_played(
    tenant: str, version: Row[Any], asker: Asker, dataset: str, post: Post
) -> None:
    plays = made_plays.interactions(PLAYS)
    items = sorted({plays.items[item] for item in plays.item[plays.user == 0]})

    folded = asker.ask(wish(tenant, version, played=dict.fromkeys(items, 1.0)))

    known = asker.ask(wish(tenant, version, dataset=dataset, user=plays.users[0]))
    assert folded["data"] == known["data"]
    assert (folded["basis"], folded["is_known"], folded["unknown_items"]) == ("history", True, [])


def test_an_unknown_listener_gets_what_most_have_played_and_is_told(
    tenant: str, version: Row[Any], asker: Asker, dataset: str
) -> None:
    said = asker.ask(wish(tenant, version, dataset=dataset, user="nobody", wanted={"k": 3}))

    assert (said["basis"], said["is_known"], len(said["data"])) == ("popularity", False, 3)
    assert all(each["reason"] is None for each in said["data"])


def test_items_that_nobody_knows_are_named(tenant: str, version: Row[Any], asker: Asker) -> None:
    said = asker.ask(wish(tenant, version, played={"never heard of": 2.0, "i00001": 1.0}))

    assert (said["basis"], said["unknown_items"]) == ("history", ["never heard of"])
    assert "i00001" not in [each["item"] for each in said["data"]]


def test_an_item_has_others_like_it(tenant: str, version: Row[Any], asker: Asker) -> None:
    said = asker.ask(wish(tenant, version, like="i00003", wanted={"k": 5}))

    scores = [each["score"] for each in said["data"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert "i00003" not in [each["item"] for each in said["data"]]


@pytest.mark.parametrize("method", ["neighbours", "ease", "ease by vectors"])
def test_what_has_nothing_in_common_with_an_item_is_not_like_it(
    post: Post, tenant: str, dataset: str, asker: Asker, method: str
) -> None:
    version = make_version(post, tenant, dataset, model=method.split()[0], weighting="damped", **METHODS[method])

    said = asker.ask(wish(tenant, version, like="i00003", wanted={"k": 1000}))

    assert 0 < len(said["data"]) < 159
    assert all(each["score"] > 0 for each in said["data"])


def test_an_item_that_the_model_does_not_know_is_not_found(tenant: str, version: Row[Any], asker: Asker) -> None:
    with pytest.raises(NotFound):
        asker.ask(wish(tenant, version, like="never heard of"))


def test_popularity_knows_nothing_that_is_alike(post: Post, tenant: str, dataset: str, asker: Asker) -> None:
    version = make_version(post, tenant, dataset, model="popularity")

    with pytest.raises(NotAllowedNow) as raised:
        asker.ask(wish(tenant, version, like="i00003"))
    assert raised.value.code == "item_unlike"


def test_a_filter_on_a_column_that_is_not_there_is_refused(tenant: str, version: Row[Any], asker: Asker) -> None:
    with pytest.raises(InvalidRequest, match="expected a column of the item table, which has artist"):
        asker.ask(wish(tenant, version, played={"i00001": 1.0}, wanted={"filters": {"allow": {"mood": ["calm"]}}}))


def test_filters_that_leave_nothing_leave_an_empty_list(tenant: str, version: Row[Any], asker: Asker) -> None:
    rules = {"filters": {"allow": {"released": {"min": "2999-01-01"}}}}

    assert asker.ask(wish(tenant, version, played={"i00001": 1.0}, wanted=rules))["data"] == []
    mistyped = {"filters": {"deny": {"licence": ["CC0"]}}}
    said = asker.ask(wish(tenant, version, played={"i00001": 1.0}, wanted=mistyped))
    assert (len(said["data"]), said["unknown_labels"]) == (20, [{"column": "licence", "label": "CC0"}])


def test_another_tenants_model_is_not_there(other: str, version: Row[Any], asker: Asker) -> None:
    with pytest.raises(NotFound):
        asker.ask(wish(other, version, played={"i00001": 1.0}))


def test_listeners_that_memory_has_no_room_for_are_refused_and_others_are_answered(
    tenant: str, version: Row[Any], dataset: str, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker.ask(wish(tenant, version, played={"i00001": 1.0}))
    monkeypatch.setattr(tastes, "MOST_BYTES", 5_000)

    with pytest.raises(NotAllowedNow) as raised:
        asker.ask(wish(tenant, version, dataset=dataset, user="u00001"))
    assert raised.value.code == "catalogue_too_large"
    assert asker.ask(wish(tenant, version, played={"i00001": 1.0}))["data"]


def test_a_deleted_model_is_out_of_memory_too(
    post: Post, tenant: str, version: Row[Any], asker: Asker, worker: Answering
) -> None:
    asker.ask(wish(tenant, version, played={"i00001": 1.0}))
    assert list(worker.tastes.models.held) == [version.id]
    with post.database.transaction() as sql:
        models.delete(sql, tenant, "taste")

    with pytest.raises(NotFound):
        asker.ask(wish(tenant, version, played={"i00001": 1.0}))
    assert not worker.tastes.models.held


def test_an_erased_listener_is_nobodys_memory(
    post: Post, tenant: str, version: Row[Any], asker: Asker, dataset: str, tmp_path: Path
) -> None:
    plays = made_plays.interactions(PLAYS)
    asked = wish(tenant, version, dataset=dataset, user=plays.users[0])
    assert asker.ask(asked)["is_known"]
    kept = plays.user != 0
    without = Interactions(
        plays.users[1:], plays.items, plays.user[kept] - 1, plays.item[kept], plays.weight[kept],
        None if plays.time is None else plays.time[kept], None, plays.catalogue,
    )  # fmt: skip
    folder = tmp_path / "without"
    folder.mkdir()
    fresh = store(post, tenant, folder, without)
    with post.database.transaction() as sql:
        parts = sql.execute(dataset_table.select().where(dataset_table.c.id == fresh)).one().parts
        sql.execute(update(dataset_table).where(dataset_table.c.id == dataset).values(parts=parts, sha256="1" * 64))

    said = asker.ask(asked)

    assert (said["is_known"], said["basis"]) == (False, "popularity")
    assert stored.EVENTS in {part["name"] for part in parts}
