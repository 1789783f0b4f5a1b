"""Trainings on plays, lists for all listeners and evaluations, as a worker carries them out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Row, update

from shared import jobs
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import outputs
from tests.worker import plays as made_plays
from tests.worker import working
from tests.worker.recommended import make_version, run, store, train
from worker.interactions import stored
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import metrics
from worker.runner import Post

Json = dict[str, Any]

PLAYS = made_plays.make(240, 200, seed=3)


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """One database is enough: what is written here goes the way that every job's end goes."""
    path = tmp_path / "etude.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage)


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return store(post, tenant, tmp_path / "plays", made_plays.interactions(PLAYS), name="plays")


@pytest.fixture
def version(post: Post, tenant: str, dataset: str) -> Row[Any]:
    return make_version(post, tenant, dataset)


def rows(post: Post, job: Row[Any], name: str = "predictions.jsonl") -> list[Json]:
    assert job.state == jobs.SUCCEEDED, job.error
    with post.database.reading() as sql:
        chosen = outputs.select().where(outputs.c.job == job.id, outputs.c.name == name)
        content = post.storage.get(sql.execute(chosen).one().key)
    return [json.loads(line) for line in content.splitlines()]


def test_a_training_compares_what_it_may_keep_and_says_what_came_of_it(post: Post, tenant: str, dataset: str) -> None:
    job = train(post, tenant, dataset, candidates=["popularity", "neighbours", "als"], content={"held_out": 0.3})

    assert job.state == jobs.SUCCEEDED, job.error
    (version,) = working.made(post, job.id)
    chosen, tried = job.result["chosen"], job.result["compared"]
    assert {each["model"] for each in tried} == {"popularity", "neighbours", "als"}
    assert chosen["value"] == max(each["value"] for each in tried)
    low, high = version.metrics["test"]["ndcg@100"]["interval"]
    assert low < version.metrics["test"]["ndcg@100"]["value"] < high
    assert set(version.baselines["test"]) == {"popularity", "neighbours", "als"} - {chosen["model"]}
    assert version.baselines["test"]["popularity"]["compared"]["p"] < 0.05
    assert version.lineage["split"]["by"] == "time"
    assert version.metrics["lists"]["coverage"] > 0
    assert version.metrics["new_items"]["recall"] > 2 * version.metrics["new_items"]["by_chance"]
    assert working.stages(post, job.id)[-5:] == ["preparing", "choosing", "evaluating", "training", "storing"]


def test_the_same_training_makes_the_same_version(post: Post, tenant: str, dataset: str) -> None:
    first, second = (working.made(post, train(post, tenant, dataset).id)[0] for _ in range(2))

    assert [file["sha256"] for file in first.files] == [file["sha256"] for file in second.files]
    assert second.metrics.pop("champion", None) is None
    assert first.metrics == second.metrics


def test_every_listener_has_a_list(post: Post, tenant: str, version: Row[Any], dataset: str) -> None:
    job = run(post, tenant, version, dataset, k=5)

    lists = rows(post, job)
    plays = made_plays.interactions(PLAYS)
    assert [row["key"] for row in lists] == plays.users
    heard = {(plays.users[user], plays.items[item]) for user, item in zip(plays.user, plays.item, strict=True)}
    for row in lists:
        assert len(set(row["items"])) == len(row["items"]) == len(row["scores"]) == 5
        assert not any((row["key"], item) in heard for item in row["items"])
        assert row["scores"] == sorted(row["scores"], reverse=True)
        assert all(reason is None or (row["key"], reason) in heard for reason in row["because"])
        assert row["basis"] == "history"
    assert job.result["lists"] == {"k": 5, "empty": 0, "short": 0, "by_popularity": 0, "items": 200}


def test_filters_hold_before_anything_is_ranked(post: Post, tenant: str, version: Row[Any], dataset: str) -> None:
    filters = {"allow": {"licence": ["cc0", "cc-by"]}, "deny": {"tags": ["remix"]}}
    job = run(post, tenant, version, dataset, k=8, filters=filters, cap={"column": "artist", "at_most": 1})

    items = {name: place for place, name in enumerate(PLAYS.items["item"])}
    for row in rows(post, job):
        places = [items[item] for item in row["items"]]
        assert all(PLAYS.items["licence"][place] != "all rights reserved" for place in places)
        assert not any("remix" in PLAYS.items["tags"][place] for place in places)
        artists = [PLAYS.items["artist"][place] for place in places]
        assert len(artists) == len(set(artists)) == 8


def test_filters_that_leave_nothing_are_told(post: Post, tenant: str, version: Row[Any], dataset: str) -> None:
    job = run(post, tenant, version, dataset, filters={"allow": {"licence": ["none such"]}})

    assert all(row["items"] == [] for row in rows(post, job))
    assert job.result["lists"]["empty"] == job.result["rows"]
    assert [warning["code"] for warning in job.result["warnings"]] == ["nothing_to_recommend"]


def test_a_filter_on_a_column_that_is_not_there_is_refused(
    post: Post, tenant: str, version: Row[Any], dataset: str
) -> None:
    job = run(post, tenant, version, dataset, filters={"deny": {"explicit": ["yes"]}})

    assert (job.state, job.error["code"]) == (jobs.FAILED, "invalid_request")
    assert job.error["errors"][0]["pointer"] == "/params/filters/deny/explicit"


def test_a_list_longer_than_the_catalogue_holds_what_there_is(
    post: Post, tenant: str, version: Row[Any], dataset: str
) -> None:
    job = run(post, tenant, version, dataset, k=1000, exclude_heard=False, explain=False)

    assert all(len(row["items"]) == 200 for row in rows(post, job))
    assert job.result["lists"]["short"] == job.result["rows"]
    assert all("because" not in row for row in rows(post, job))


def test_whoever_is_not_known_gets_what_most_have_played(
    post: Post, tenant: str, version: Row[Any], tmp_path: Path
) -> None:
    strange = Interactions(
        ["a", "b"], ["nowhere"], np.array([0], np.int32), np.array([0], np.int32), np.ones(1), None, None,
        stored.empty_catalogue(1),
    )  # fmt: skip
    job = run(post, tenant, version, store(post, tenant, tmp_path / "strange", strange), k=3)

    first, second = rows(post, job)
    assert first["basis"] == second["basis"] == "popularity"
    assert first["items"] == second["items"]
    assert job.result["lists"]["by_popularity"] == 2


def test_what_few_have_played_is_not_named_when_that_is_asked(
    post: Post, tenant: str, version: Row[Any], dataset: str
) -> None:
    job = run(post, tenant, version, dataset, k=100, min_listeners=20, exclude_heard=False)

    plays = made_plays.interactions(PLAYS)
    listeners = {name: len(set(plays.user[plays.item == place])) for place, name in enumerate(plays.items)}
    assert all(listeners[item] >= 20 or listeners[item] == 0 for row in rows(post, job) for item in row["items"])


def test_an_evaluation_judges_by_what_came_later(
    post: Post, tenant: str, dataset: str, tmp_path: Path
) -> None:
    plays = made_plays.interactions(PLAYS)
    assert plays.time is not None
    moment = float(np.quantile(plays.time, 0.7))
    early = plays.time <= moment
    before = Interactions(
        plays.users, plays.items, plays.user[early], plays.item[early], plays.weight[early], plays.time[early], None,
        plays.catalogue,
    )  # fmt: skip
    (learned,) = working.made(post, train(post, tenant, store(post, tenant, tmp_path / "early", before)).id)

    job = run(post, tenant, learned, dataset, "evaluate")

    assert job.state == jobs.SUCCEEDED, job.error
    assert job.result["warnings"] == []
    assert job.result["metrics"]["evaluation"]["ndcg@100"]["value"] > 0.1
    assert job.result["listeners"] > 200


def test_an_evaluation_on_what_was_learned_says_so(
    post: Post, tenant: str, version: Row[Any], dataset: str
) -> None:
    job = run(post, tenant, version, dataset, "evaluate")

    assert [warning["code"] for warning in job.result["warnings"]] == ["leakage_suspected"]


def test_a_training_begins_anew_when_a_listener_was_erased_meanwhile(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = metrics.tell

    def erase_first(*args: Any, **kwargs: Any) -> Json:
        with post.database.transaction() as sql:
            sql.execute(update(dataset_table).where(dataset_table.c.id == dataset).values(sha256="1" * 64))
        return told(*args, **kwargs)

    monkeypatch.setattr(metrics, "tell", erase_first)
    job = train(post, tenant, dataset)

    assert job.state == jobs.QUEUED
    assert working.outcomes(post, job.id) == ["repeated"]
    assert working.made(post, job.id) == []


@pytest.mark.parametrize(
    ("users", "items"), [(1, 1), (1, 300), (40, 1)], ids=["one of each", "one listener", "one item"]
)
def test_what_nothing_can_be_judged_by_is_refused(
    post: Post, tenant: str, tmp_path: Path, users: int, items: int
) -> None:
    few = made_plays.interactions(made_plays.make(users, items, events_a_user=3), time=False)
    job = train(post, tenant, store(post, tenant, tmp_path / "few", few))

    assert (job.state, job.error["code"]) == (jobs.FAILED, "too_few_plays")
