"""A training whose version takes over an alias, or does not: real trainings, datasets that grow, both databases."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from shared import alias_moves, jobs, models
from shared.tables import aliases, datasets, events
from tests.worker import canonical, recorded, working
from tests.worker.working import ENDLESS, Working
from worker import promotion, row_training, runner
from worker.runner import Post

# The last rows of a file that grows are the newest, which no version before has seen.
WELL = {"epochs": 60, "hidden": [{"units": 8}], "baselines": False, "validation_split": 0.25, "learning_rate": 0.01}
BADLY = {**WELL, "epochs": 1, "learning_rate": 1e-6}
CHAMPION = {"alias": "champion"}
ON_THESE_ROWS = "on the candidate's held-out rows"

Json = dict[str, Any]


def gated(metric: str = "log_loss") -> Json:
    return {**CHAMPION, "require": {"metric": metric, "not_worse_than": "champion"}}


@pytest.fixture
def dataset(post: Post, tenant: str, tmp_path: Path) -> str:
    return store(post, tenant, tmp_path, canonical.music(80))


def store(post: Post, tenant: str, folder: Path, columns: Mapping[str, Any], **roles: Any) -> str:
    """A dataset whose content is like no other's."""
    dataset = working.store_table(post, tenant, folder, columns, **{"target": ["genre"], "id": "piece", **roles})
    with post.database.transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(sha256=f"{dataset:0>64}"[-64:]))
    return dataset


def train(post: Post, tenant: str, dataset: str, **values: Any) -> Any:
    """The row of a training that has ended well."""
    job = working.submit(post, tenant, dataset, **{"params": WELL, "promote": gated(), **values})
    runner.run(post, "train", only_tenant=None)
    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    return row


def champion(post: Post, tenant: str) -> int | None:
    with post.database.reading() as sql:
        found = models.at_alias(sql, tenant, "songs", "champion")
    return None if found is None else found.number


def told(post: Post, job: str) -> list[Json]:
    with post.database.reading() as sql:
        chosen = select(events.c.data).where(events.c.job == job, events.c.type == "promotion")
        return list(sql.execute(chosen).scalars())


def count_moves(post: Post) -> int:
    with post.database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(aliases)).scalar_one())


def with_label(columns: Json, label: str, rows: range) -> Json:
    return {**columns, "genre": [label if row in rows else genre for row, genre in enumerate(columns["genre"])]}


def test_a_training_without_promote_says_nothing_of_it(post: Post, tenant: str, dataset: str) -> None:
    row = train(post, tenant, dataset, promote=None)

    assert "promotion" not in row.result
    assert (told(post, row.id), champion(post, tenant)) == ([], None)


@pytest.mark.parametrize("promote", [CHAMPION, gated()], ids=["without a gate", "with one"])
def test_an_alias_that_points_to_nothing_is_taken(post: Post, tenant: str, dataset: str, promote: Json) -> None:
    row = train(post, tenant, dataset, promote=promote)

    assert row.result["promotion"] == {"alias": "champion", "moved": True, "from": None}
    assert told(post, row.id) == [row.result["promotion"]]
    assert champion(post, tenant) == 1


def test_a_better_version_takes_the_alias_over(post: Post, tenant: str, dataset: str) -> None:
    train(post, tenant, dataset, params=BADLY)

    row = train(post, tenant, dataset)

    said = row.result["promotion"]
    compared = said.pop("compared")
    assert said == {"alias": "champion", "moved": True, "from": 1}
    assert champion(post, tenant) == 2
    # Both held out the same rows: what the older one said of them is kept with it.
    first = working.made(post, row.id)[0].metrics["validation"]["log_loss"]["value"]
    assert compared["difference"] == pytest.approx(first - compared["rival"], abs=1e-6)
    assert compared["interval"][0] <= compared["difference"] <= compared["interval"][1]
    assert compared["difference"] < 0 < compared["p"] <= 1


def test_a_worse_version_is_kept_and_moves_nothing(post: Post, tenant: str, dataset: str) -> None:
    train(post, tenant, dataset)

    row = train(post, tenant, dataset, params=BADLY)

    said = row.result["promotion"]
    assert (row.result["version"], said["alias"], said["moved"]) == (2, "champion", False)
    assert said["reason"]["code"] == "gate_refused"
    assert "champion (version 1) has" in said["reason"]["detail"]
    assert told(post, row.id) == [said]
    assert (champion(post, tenant), count_moves(post)) == (1, 1)


def test_a_gate_tells_all_that_a_training_misses_and_the_history_who_passed(
    post: Post, tenant: str, dataset: str
) -> None:
    wanted = {"metric": "accuracy", "at_least": 0.5, "min_rows": 20, "no_leakage_warning": True}
    passed = train(post, tenant, dataset, promote={**CHAMPION, "require": wanted})

    refused = train(post, tenant, dataset, promote={**CHAMPION, "require": {**wanted, "at_least": 2.0, "min_rows": 21}})

    said = refused.result["promotion"]["reason"]["detail"]
    assert "at least 2 is required" in said and "20 rows, at least 21 are required" in said
    with post.database.reading() as sql:
        (move,) = alias_moves.page(sql, tenant, models.find(sql, tenant, "songs").id, "champion", limit=9, before=None)
        version = models.find_version(sql, tenant, "songs", 1)
    assert (move.how, move.job, move.key, move.gate["require"]) == ("promoted", passed.id, None, wanted)
    assert move.gate["candidate"] == passed.result["metrics"]["validation"]["accuracy"]["value"]
    assert version.lineage["machine"]["cpu"] and version.lineage["machine"]["threads"] >= 1


def test_without_a_gate_a_worse_version_takes_the_alias_over(post: Post, tenant: str, dataset: str) -> None:
    train(post, tenant, dataset)

    row = train(post, tenant, dataset, params=BADLY, promote=CHAMPION)

    assert row.result["promotion"] == {"alias": "champion", "moved": True, "from": 1}
    assert champion(post, tenant) == 2


@pytest.mark.parametrize(
    ("kind", "metric", "target", "others"),
    [("classification", "accuracy", "genre", ["loudness"]), ("regression", "mae", "loudness", ["genre"])],
)
def test_on_a_dataset_that_has_grown_both_are_measured_on_the_new_rows(
    post: Post, tenant: str, tmp_path: Path, kind: str, metric: str, target: str, others: list[str]
) -> None:
    """Every night of a schedule: the champion comes to what a scoring with it comes to."""
    columns = canonical.music(160)
    roles = {"target": [target], "drop": others}
    nights = [store(post, tenant, tmp_path, {name: each[:rows] for name, each in columns.items()}, **roles)
              for rows in (80, 160)]  # fmt: skip
    asked = {"kind": kind, "promote": gated(metric)}
    train(post, tenant, nights[0], params=BADLY, **asked)

    row = train(post, tenant, nights[1], **asked)

    said = row.result["promotion"]
    assert (said["moved"], said["from"], champion(post, tenant)) == (True, 1, 2)
    ours = row.result["metrics"]["validation"][metric]["value"]
    theirs = measured_by_hand(post, tenant, nights[1], kind, columns[target][-40:])
    difference = ours - said["compared"]["rival"]
    interval, p = (said["compared"].pop(name) for name in ("interval", "p"))
    assert interval[0] <= difference <= interval[1] and 0 < p <= 1
    assert said["compared"] == {
        "difference": pytest.approx(difference),
        "metric": metric, "candidate": ours, "rival": pytest.approx(theirs, rel=1e-5), "rows": 40,
        "measured": ON_THESE_ROWS,
    }  # fmt: skip
    assert "comparing" in working.stages(post, row.id)


def measured_by_hand(post: Post, tenant: str, dataset: str, kind: str, truth: Any) -> float:
    """What version 1 comes to on the last rows of a dataset, by its predictions."""
    with post.database.reading() as sql:
        version = models.find_version(sql, tenant, "songs", 1).id
    params = {"formats": ["parquet"]}
    job = working.submit(post, tenant, dataset, action="score", kind=kind, version=version, params=params)
    runner.run(post, "train", only_tenant=None)
    assert working.find(post, job).state == jobs.SUCCEEDED
    path = post.settings.home / "predictions.parquet"
    path.write_bytes(recorded.output(post, job, "predictions.parquet"))
    said = pq.read_table(path)["prediction"].to_pylist()[-len(truth) :]
    if kind == "classification":
        return float(np.mean([one == other for one, other in zip(said, truth, strict=True)]))
    return float(np.mean(np.abs(np.array(said) - np.array(truth))))


def test_a_dataset_that_has_grown_does_not_help_a_worse_version(post: Post, tenant: str, tmp_path: Path) -> None:
    train(post, tenant, store(post, tenant, tmp_path, canonical.music(80)))

    row = train(post, tenant, store(post, tenant, tmp_path, canonical.music(120)), params=BADLY)

    said = row.result["promotion"]
    assert said["moved"] is False and champion(post, tenant) == 1
    assert said["compared"]["rival"] < said["compared"]["candidate"]
    assert "the alias stays where it is" in said["reason"]["detail"]


def test_another_division_of_the_same_rows_is_no_ground_to_compare_on(post: Post, tenant: str, dataset: str) -> None:
    shuffled = {name: value for name, value in WELL.items() if name != "validation_split"}
    train(post, tenant, dataset, params={**shuffled, "seed": 1, "epochs": 1, "learning_rate": 1e-6})

    row = train(post, tenant, dataset, params={**shuffled, "seed": 2})

    assert row.result["promotion"]["compared"]["rows"] == 16
    assert row.result["promotion"]["moved"] is True


def test_a_label_that_the_rival_has_never_met_it_gets_wrong(post: Post, tenant: str, tmp_path: Path) -> None:
    train(post, tenant, store(post, tenant, tmp_path, canonical.music(80)), promote=gated("accuracy"))
    jazz = with_label(canonical.music(160), "jazz", range(100, 160))

    row = train(post, tenant, store(post, tenant, tmp_path, jazz), params=BADLY, promote=gated("accuracy"))

    assert row.result["promotion"]["compared"]["rival"] == 0


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        (lambda columns: {name: each for name, each in columns.items() if name != "tempo"}, "lacks: 'tempo'"),
        (lambda columns: {**columns, "tempo": ["fast"] * 80}, "cannot read cells of 'tempo'"),
        (lambda columns: {**columns, "genre": ["jazz" if each == "pop" else each for each in columns["genre"]]},
         "has no more: 'pop'"),
    ],
    ids=["a column less", "words for numbers", "a label less"],
)  # fmt: skip
def test_a_rival_that_cannot_be_applied_keeps_the_alias_and_the_reason_is_told(
    post: Post, tenant: str, tmp_path: Path, dataset: str, change: Any, told_of: str
) -> None:
    train(post, tenant, dataset)

    row = train(post, tenant, store(post, tenant, tmp_path, change(canonical.music(80))))

    said = row.result["promotion"]
    assert said["reason"]["code"] == "gate_refused" and told_of in said["reason"]["detail"]
    assert "champion (version 1) cannot be measured on the held-out rows" in said["reason"]["detail"]
    assert (said["moved"], "compared" in said, champion(post, tenant)) == (False, False, 1)


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_rival_whose_files_are_damaged_or_gone_costs_no_training(
    post: Post, tenant: str, tmp_path: Path, is_gone: bool
) -> None:
    first = train(post, tenant, store(post, tenant, tmp_path, canonical.music(80)))
    for file in working.made(post, first.id)[0].files:
        post.storage.delete(file["key"]) if is_gone else post.storage.put(file["key"], [b"something else"])

    row = train(post, tenant, store(post, tenant, tmp_path, canonical.music(120)))

    told = "missing" if is_gone else "restore it"
    assert told in row.result["promotion"]["reason"]["detail"] and row.tries == 0
    assert champion(post, tenant) == 1


def test_an_alias_that_moves_while_its_version_is_measured_is_left_where_it_is(
    post: Post, tenant: str, tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(post, tenant, dataset)
    train(post, tenant, dataset, promote=None)

    def measure(*given: Any) -> Any:
        found = promotion.measure(*given)
        with post.database.transaction() as sql:
            models.move_alias(sql, tenant, "songs", "champion", number=2)
        return found

    monkeypatch.setattr(row_training, "promotion", SimpleNamespace(measure=measure, settle=promotion.settle))
    row = train(post, tenant, store(post, tenant, tmp_path, canonical.music(120)))

    said = row.result["promotion"]
    assert (said["moved"], "compared" in said, champion(post, tenant)) == (False, False, 2)
    assert "champion (version 2) took the place of the version that was measured" in said["reason"]["detail"]


def test_with_nothing_held_out_there_is_nothing_to_compare(post: Post, tenant: str, dataset: str) -> None:
    train(post, tenant, dataset)

    row = train(post, tenant, dataset, params={**WELL, "validation_split": 0.0})

    assert "has no validation log_loss" in row.result["promotion"]["reason"]["detail"]


def test_a_training_that_was_cancelled_keeps_its_best_and_moves_no_alias(post: Post, tenant: str, dataset: str) -> None:
    job = working.submit(post, tenant, dataset, params=ENDLESS, promote=CHAMPION)
    under_way = Working(post)
    working.wait_for_epochs(post, job)

    working.cancel(post, tenant, job, keep="best")
    under_way.join()

    row = working.find(post, job)
    assert (row.state, row.result["reference"]) == (jobs.CANCELLED, "songs@1")
    assert (row.result["promotion"]["moved"], row.result["promotion"]["reason"]["code"]) == (False, "cancelled")
    assert (told(post, job), champion(post, tenant)) == ([row.result["promotion"]], None)


def test_a_training_that_its_budget_ends_is_promoted(post: Post, tenant: str, dataset: str) -> None:
    row = train(post, tenant, dataset, params=ENDLESS, budget={"compute_seconds": 1.0})

    assert (row.result["stopped_by"], row.result["promotion"]["moved"]) == ("budget", True)
