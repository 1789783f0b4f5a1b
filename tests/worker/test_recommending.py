"""Trainings on plays, lists for all listeners and evaluations, as a worker carries them out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Row, update

from shared import jobs
from shared.errors import TryAgain
from shared.tables import datasets as dataset_table
from shared.tables import outputs
from shared.tables import versions as version_table
from tests.worker import plays as made_plays
from tests.worker import working
from tests.worker.interactions.uploading import hurry
from tests.worker.recommended import QUICK, make_version, run, store, train
from worker import runner
from worker.interactions import stored
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import metrics
from worker.recommenders import artifacts, popularity
from worker.runner import Post

Json = dict[str, Any]

# Of a few hundred listeners each is learned by heart a little.
LEAK = "membership_leak"
PLAYS = made_plays.make(240, 200, seed=3)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: what is written here goes the way that every job's end goes."""
    return sqlite_url


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
    assert [warning["code"] for warning in job.result["warnings"]] == ["nothing_to_recommend", "filter_label_unknown"]


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


def test_an_evaluation_judges_by_what_came_later(post: Post, tenant: str, dataset: str, tmp_path: Path) -> None:
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


def test_an_evaluation_on_what_was_learned_says_so(post: Post, tenant: str, version: Row[Any], dataset: str) -> None:
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


def test_whoever_has_played_everything_has_an_empty_list(
    post: Post, tenant: str, version: Row[Any], tmp_path: Path
) -> None:
    items = made_plays.interactions(PLAYS).items
    everything = Interactions(
        ["all"], items, np.zeros(len(items), np.int32), np.arange(len(items), dtype=np.int32), np.ones(len(items)),
        None, None, stored.empty_catalogue(len(items)),
    )  # fmt: skip
    dataset = store(post, tenant, tmp_path / "all", everything)

    (row,) = rows(post, run(post, tenant, version, dataset))
    assert (row["items"], row["basis"]) == ([], "history")
    (again,) = rows(post, run(post, tenant, version, dataset, exclude_heard=False))
    assert len(again["items"]) == 20


def test_the_model_that_is_named_is_kept_though_another_does_better(post: Post, tenant: str, dataset: str) -> None:
    job = train(post, tenant, dataset, model="als", als={"factors": 2, "regularization": 900_000.0})

    assert job.result["chosen"]["model"] == "als"
    (version,) = working.made(post, job.id)
    popularity = version.baselines["test"]["popularity"]
    assert popularity["ndcg@100"]["value"] > version.metrics["test"]["ndcg@100"]["value"]
    assert popularity["compared"]["difference"] < 0


def promote(post: Post, tenant: str, dataset: str, *, require: Json | None = None, **params: Any) -> Row[Any]:
    job = working.submit(
        post, tenant, dataset, kind="recommendation", model="taste", params=params,
        promote={"alias": "champion", "require": require},
    )  # fmt: skip
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def test_a_worse_one_does_not_become_champion_and_is_compared_with_it(post: Post, tenant: str, dataset: str) -> None:
    first = promote(post, tenant, dataset, **QUICK)
    assert first.result["promotion"]["moved"]

    gate = {"metric": "ndcg@100", "not_worse_than": "champion"}
    second = promote(post, tenant, dataset, require=gate, model="popularity")

    assert not second.result["promotion"]["moved"]
    assert second.result["promotion"]["reason"]["code"] == "gate_refused"
    champion = second.result["metrics"]["champion"]
    assert champion["version"] == 1
    assert champion["value"] == first.result["metrics"]["test"]["ndcg@100"]["value"]
    assert champion["difference"] < 0
    assert champion["p"] < 0.05


def test_on_more_plays_the_champions_settings_are_judged_anew(
    post: Post, tenant: str, dataset: str, tmp_path: Path
) -> None:
    promote(post, tenant, dataset, **QUICK)
    more = store(post, tenant, tmp_path / "more", made_plays.interactions(made_plays.make(260, 200, seed=9)))

    gate = {"metric": "recall@20", "not_worse_than": "champion"}
    job = promote(post, tenant, more, require=gate, **QUICK)

    # The same settings, learned from the same plays: neither is better.
    assert job.result["promotion"]["moved"]
    compared = job.result["promotion"]["compared"]
    assert compared["candidate"] == pytest.approx(compared["rival"])
    assert (job.result["metrics"]["champion"]["difference"], job.result["metrics"]["champion"]["p"]) == (0, 1)


def test_what_was_tried_before_a_death_is_not_tried_again(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: Json = {"candidates": ["popularity", "neighbours", "ease"], "content": None}
    whole = train(post, tenant, dataset, **wanted)
    hasty = dataclasses.replace(post, settings=dataclasses.replace(post.settings, checkpoint_s=0.0))
    real, calls = metrics.judge, list[int]()

    def judge(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 9:
            raise TryAgain("The worker dies here.")
        return real(*args, **kwargs)

    monkeypatch.setattr(metrics, "judge", judge)
    broken = train(hasty, tenant, dataset, **wanted)
    assert (broken.state, len(calls)) == (jobs.QUEUED, 9)
    hurry(post, broken.id)
    runner.run(hasty, "train", only_tenant=None)

    ended = working.find(post, broken.id)
    assert ended.state == jobs.SUCCEEDED, ended.error
    assert ended.result["compared"] == whole.result["compared"]
    # Eight were known; then the rest, and each method once more on what is judged on.
    assert len(calls) == 9 + len(whole.result["compared"]) - 8 + 3
    made = [working.made(post, job.id)[0] for job in (whole, ended)]
    assert made[0].metrics == made[1].metrics
    assert [file["sha256"] for file in made[0].files] == [file["sha256"] for file in made[1].files]


def test_a_budget_ends_the_search_with_the_best_so_far(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(
        post, tenant, dataset, kind="recommendation", model="taste", params={}, budget={"compute_seconds": 0.001}
    )  # fmt: skip
    runner.run(post, "train", only_tenant=None)

    ended = working.find(post, job)
    assert ended.state == jobs.SUCCEEDED, ended.error
    assert (ended.result["stopped_by"], len(ended.result["compared"])) == ("budget", 1)


@pytest.mark.parametrize("split", ["user", "last", "random"])
def test_other_splits(post: Post, tenant: str, dataset: str, split: str) -> None:
    job = train(post, tenant, dataset, **QUICK, split=split)

    assert job.state == jobs.SUCCEEDED, job.error
    assert working.made(post, job.id)[0].lineage["split"]["by"] == split
    assert job.result["metrics"]["test"]["ndcg@100"]["value"] > 0.1


def test_a_split_by_time_wants_times(post: Post, tenant: str, tmp_path: Path) -> None:
    timeless = store(post, tenant, tmp_path / "timeless", made_plays.interactions(PLAYS, time=False))

    job = train(post, tenant, timeless, **QUICK, split="time")
    assert (job.state, job.error["code"]) == (jobs.FAILED, "no_times")
    by_user = train(post, tenant, timeless, **QUICK)
    assert working.made(post, by_user.id)[0].lineage["split"]["by"] == "user"


def test_bots_are_left_out_unless_they_are_kept(post: Post, tenant: str, tmp_path: Path) -> None:
    plays = made_plays.interactions(PLAYS)
    assert plays.time is not None
    busy = 3000
    noisy = Interactions(
        [*plays.users, "zz bot"], plays.items,
        np.concatenate([plays.user, np.full(busy, len(plays.users), np.int32)]),
        np.concatenate([plays.item, (np.arange(busy) % 200).astype(np.int32)]),
        np.concatenate([plays.weight, np.ones(busy)]),
        np.concatenate([plays.time, plays.time.min() + np.arange(busy) * 20.0]), None, plays.catalogue,
    )  # fmt: skip
    dataset = store(post, tenant, tmp_path / "noisy", noisy)

    left_out, kept = (train(post, tenant, dataset, **QUICK, bots=bots) for bots in ("leave_out", "keep"))

    said = [[each["code"] for each in job.result["warnings"] if each["code"] != LEAK] for job in (left_out, kept)]
    assert said == [["bots_left_out"], []]
    assert working.made(post, left_out.id)[0].lineage["split"]["left_out"] == {"bots": busy}


def test_only_the_contexts_that_are_named_are_learned_from(post: Post, tenant: str, tmp_path: Path) -> None:
    contexts = ["radio" if place % 3 else "own choice" for place in range(len(PLAYS.user))]
    dataset = store(post, tenant, tmp_path / "contexts", made_plays.interactions(PLAYS, context=contexts))

    job = train(post, tenant, dataset, **QUICK, contexts=["own choice"])
    assert job.state == jobs.SUCCEEDED, job.error
    left_out = working.made(post, job.id)[0].lineage["split"]["left_out"]["other_contexts"]
    assert left_out == contexts.count("radio")
    unknown = train(post, tenant, dataset, **QUICK, contexts=["elsewhere"])
    assert (unknown.state, unknown.error["code"]) == (jobs.FAILED, "context_unknown")


NETWORK: Json = {"embedding": 12, "hidden": [{"units": 16, "activation": "tanh"}]}


@pytest.mark.parametrize("method", ["two_tower", "autoencoder"])
def test_a_network_is_learned_judged_and_answers_for_everybody(
    post: Post, tenant: str, dataset: str, method: str
) -> None:
    job = train(post, tenant, dataset, model=method, network=NETWORK, epochs=6, batch_size=32)

    assert job.state == jobs.SUCCEEDED, job.error
    assert job.result["chosen"]["model"] == method
    assert 1 <= job.result["chosen"]["settings"]["epochs"] <= 6
    (version,) = working.made(post, job.id)
    lists = rows(post, run(post, tenant, version, dataset, k=4))
    assert all(len(row["items"]) == 4 for row in lists)
    # What goes through a layer is no sum over what was played.
    assert all(reason is None for row in lists for reason in row["because"])


def test_a_network_goes_on_after_a_death_as_if_nothing_had_happened(
    post: Post, tenant: str, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: Json = {"model": "autoencoder", "network": NETWORK, "epochs": 5, "batch_size": 32, "content": None}
    whole = train(post, tenant, dataset, **wanted)
    hasty = dataclasses.replace(post, settings=dataclasses.replace(post.settings, checkpoint_s=0.0))
    real, calls = metrics.judge, list[int]()

    def judge(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        # Popularity, and three epochs.
        if len(calls) == 4:
            raise TryAgain("The worker dies here.")
        return real(*args, **kwargs)

    monkeypatch.setattr(metrics, "judge", judge)
    broken = train(hasty, tenant, dataset, **wanted)
    assert broken.state == jobs.QUEUED
    hurry(post, broken.id)
    runner.run(hasty, "train", only_tenant=None)

    made = [working.made(post, job.id)[0] for job in (whole, broken)]
    assert made[0].metrics == made[1].metrics
    assert [file["sha256"] for file in made[0].files] == [file["sha256"] for file in made[1].files]
    assert working.find(post, broken.id).result["compared"] == whole.result["compared"]


@pytest.mark.parametrize("time", [True, False])
def test_a_dataset_that_was_emptied_is_refused(post: Post, tenant: str, tmp_path: Path, time: bool) -> None:
    none = np.zeros(0, np.int32)
    empty = Interactions(
        [], ["a"], none, none, np.zeros(0), np.zeros(0) if time else None, None, stored.empty_catalogue(1)
    )  # fmt: skip
    job = train(post, tenant, store(post, tenant, tmp_path / "empty", empty))

    assert (job.state, job.error["code"]) == (jobs.FAILED, "too_few_plays")


def test_what_leaves_no_event_is_refused(post: Post, tenant: str, dataset: str) -> None:
    job = train(post, tenant, dataset, **QUICK, least_listeners=1_000_000)

    assert (job.state, job.error["code"]) == (jobs.FAILED, "too_few_plays")


def test_a_champion_that_cannot_be_learned_anew_is_told_and_ends_nothing(post: Post, tenant: str, dataset: str) -> None:
    promote(post, tenant, dataset, **QUICK)
    with post.database.of(tenant).transaction() as sql:
        sql.execute(update(version_table).values(lineage={"dataset": {"id": dataset, "sha256": "0"}}))

    job = train(post, tenant, dataset)
    assert job.state == jobs.SUCCEEDED, job.error
    assert job.result["metrics"]["champion"]["version"] == 1
    assert "another kind" in job.result["metrics"]["champion"]["reason"]


def test_an_evaluation_on_few_listeners_tells_figures_that_can_be(
    post: Post, tenant: str, version: Row[Any], tmp_path: Path
) -> None:
    few = made_plays.interactions(made_plays.make(12, 200, seed=8))
    job = run(post, tenant, version, store(post, tenant, tmp_path / "few", few), "evaluate")

    lists = job.result["metrics"]["lists"]
    assert 0 < lists["coverage"] <= 1
    assert lists["novelty_bits"] > 0


def test_a_card_is_of_the_lists_that_are_served_with_new_items_in_them(post: Post, tenant: str, tmp_path: Path) -> None:
    plays = made_plays.interactions(PLAYS)
    new = [f"new{place:03d}" for place in range(300)]
    tags = plays.catalogue.column("tags").to_pylist()
    columns = {name: plays.catalogue.column(name).to_pylist() for name in ("artist", "tags")}
    grown = {name: [*cells, *(cells[place % len(cells)] for place in range(300))] for name, cells in columns.items()}
    assert len(grown["tags"]) == len(tags) + 300
    more = Interactions(
        plays.users, [*plays.items, *new], plays.user, plays.item, plays.weight, plays.time, None, pa.table(grown)
    )
    dataset = store(post, tenant, tmp_path / "new", more)
    wanted: Json = {"model": "ease", "ease": {"rank": 32, "l2": 20.0, "score_power": 0.1, "ridge_power": 0.5},
                    "weighting": "binary"}  # fmt: skip

    free, heavy = (
        train(post, tenant, dataset, **wanted, content={"weight": weight}) for weight in (None, 1.0)
    )  # fmt: skip

    assert free.result["chosen"]["settings"]["new_items"] in (0.25, 0.5, 1.0)
    assert {each["settings"].get("new_items") for each in free.result["compared"]} >= {0.25, 0.5, 1.0}
    shares = [job.result["metrics"]["lists"]["never_played"] for job in (free, heavy)]
    assert 0 <= shares[0] < shares[1]
    values = [job.result["metrics"]["test"]["recall@20"]["value"] for job in (free, heavy)]
    assert values[0] > values[1]
    (version,) = working.made(post, heavy.id)
    served = rows(post, run(post, tenant, version, dataset, k=20))
    assert np.mean([item.startswith("new") for row in served for item in row["items"]]) > 0.2


def test_a_private_training_keeps_nothing_but_what_its_steps_have_learned(
    post: Post, tenant: str, dataset: str
) -> None:
    asked = {"epsilon": 8.0, "delta": 1e-4}
    job = train(post, tenant, dataset, privacy=asked, epochs=3, network={"embedding": 8}, batch_size=30)

    assert job.state == jobs.SUCCEEDED, job.error
    (version,) = working.made(post, job.id)
    dp = version.lineage["privacy"]["dp"]
    assert 7.5 < dp["epsilon"] <= 8.0 and dp["delta"] == 1e-4
    assert (dp["unit"], dp["sampling"], dp["steps"]) == ("listener", "Poisson", 3 * 8)
    assert dp["preprocessing"].startswith("of each listener by their own history")
    assert version.baselines == {"test": {}}
    assert [each["model"] for each in job.result["compared"]] == ["autoencoder"]
    files = {file["name"]: post.storage.get(file["key"]) for file in version.files}
    learned = artifacts.unpack(files)
    assert not learned.listeners.any(), "how many have played what was kept"
    assert learned.model.known.all()
    assert isinstance(learned.fallback, popularity.Popular)
    assert np.array_equal(learned.fallback.ranked, learned.model.describe()[1]["bias"])
    lists = rows(post, run(post, tenant, version, dataset, k=5))
    assert all(len(row["items"]) == 5 for row in lists)


def test_with_little_noise_private_steps_learn_what_is_played(post: Post, tenant: str, dataset: str) -> None:
    params = {"epochs": 40, "network": {"embedding": 16}, "learning_rate": 0.05, "batch_size": 30}
    little, much = (
        train(post, tenant, dataset, **params, privacy={"noise_multiplier": noise, "clip_norm": 1.0})
        for noise in (0.1, 100.0)
    )

    ((first,), (second,)) = (working.made(post, job.id) for job in (little, much))
    found = [version.metrics["test"]["ndcg@100"]["value"] for version in (first, second)]
    assert found[0] > 1.3 * found[1]
    assert first.lineage["privacy"]["dp"]["epsilon"] > 100 > 1 > second.lineage["privacy"]["dp"]["epsilon"]
