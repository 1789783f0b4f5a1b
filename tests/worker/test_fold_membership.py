"""What the networks of folds give away: found where it is planted, and nothing where nothing is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import jobs
from shared.kinds.classification import TrainParams
from tests.worker import recorded, working
from worker import fold_membership, membership, runner
from worker.fold_membership import Attacked
from worker.membership import Losses
from worker.runner import Post

Json = dict[str, Any]
FOLDS = 3
# By heart: enough weights for every row, and time to learn them.
BY_HEART = {"epochs": 150, "hidden": [{"units": 96}], "learning_rate": 0.01, "batch_size": 16, "early_stopping": False}
BRIEF = {"epochs": 1, "hidden": [], "batch_size": 64, "early_stopping": False}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: a report goes the way that the rest of a version goes."""
    return sqlite_url


def dealt(units: np.ndarray, *, known: float = 0.0, apart: float = 0.0) -> list[Attacked]:
    """Rows of units in three folds; each network finds what has trained it better by `known`.

    Whatever all networks find hard is no matter: in a fold a row stands on the one side, in another on the other. What
    one of them finds hard by chance is alike in rows of a unit; each finds all rows harder than the last by `apart`.
    """
    random = np.random.default_rng(0)
    hard, folds = random.normal(size=units.max() + 1), []
    for fold in range(FOLDS):
        losses = (hard + random.normal(size=len(hard)))[units] + 0.01 * random.normal(size=len(units)) + apart * fold
        is_held = units % FOLDS == fold
        members = Losses(losses[~is_held] - known, units[~is_held])
        folds.append(Attacked(members, Losses(losses[is_held], units[is_held]), np.unique(units[is_held])))
    return folds


def report(folds: list[Attacked], **params: Any) -> Json:
    asked = TrainParams.model_validate({"epochs": 5, **params})
    return fold_membership.report(folds, unit="row", params=asked, check=lambda: None)


def test_networks_that_know_nothing_give_nothing_away() -> None:
    found = report(dealt(np.arange(3600)))

    low, high = found["auc"]["interval"]
    assert low < 0.5 < high and found["verdict"] == "no_leak_seen" and membership.cautions(found) == []
    assert (found["members"], found["others"], found["folds"], found["unit"]) == (2400, 1200, FOLDS, "row")


def test_what_is_planted_in_every_fold_is_found_though_the_folds_differ_by_more() -> None:
    found, apart = report(dealt(np.arange(3600), known=1.0)), report(dealt(np.arange(3600), known=1.0, apart=10.0))

    # Of two normal losses of variance 2, one smaller by 1 on average. Told from all rows at once 10 would hide that.
    assert found["auc"]["value"] == pytest.approx(0.69, abs=0.02)
    assert apart["auc"] == found["auc"] and found["verdict"] == "leaks"
    [caution] = membership.cautions(found)
    assert caution.code == "membership_leak" and "the folds' networks" in caution.detail


def test_rows_that_belong_together_are_drawn_again_together() -> None:
    together, alone = np.repeat(np.arange(60), 40), np.arange(2400)

    by_unit, by_row = (report(dealt(units))["auc"]["interval"] for units in (together, alone))

    assert by_unit[1] - by_unit[0] > 3 * (by_row[1] - by_row[0])


@pytest.mark.parametrize(("rows", "is_told"), [(29, False), (30, True)])
def test_a_fold_of_few_rows_has_no_interval(rows: int, is_told: bool) -> None:
    found = report(dealt(np.arange(rows)))

    assert (found["auc"]["interval"] is not None) is is_told and found["verdict"] == "inconclusive"


def test_a_fold_that_has_chosen_its_epoch_is_said_to_flatter() -> None:
    folds = dealt(np.arange(30))

    kept, chosen = report(folds)["caution"], report(folds, early_stopping=True)["caution"]

    assert "fewer rows" in kept and "epoch" not in kept
    assert chosen.startswith(kept) and "epoch" in chosen


def by_chance(rows: int) -> Json:
    """Labels that follow from nothing: whatever is right of them was learned by heart."""
    random = np.random.default_rng(7)
    return {
        "tempo": random.random(rows), "loudness": random.random(rows), "key": random.random(rows),
        "genre": [("pop", "rock")[each] for each in random.integers(0, 2, rows)],
    }  # fmt: skip


def test_folds_of_real_trainings_are_told_from_and_a_gate_asks_them(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_table(post, tenant, tmp_path, by_chance(240), target=["genre"])
    gate = {"alias": "champion", "require": {"privacy": {"membership_auc_at_most": 0.62}}}
    asked = {"validation": {"folds": FOLDS}, "baselines": False}

    told, moved = [], []
    for params in (BY_HEART, BRIEF):
        job = working.submit(post, tenant, dataset, params={**params, **asked}, promote=gate)
        runner.run(post, "train", only_tenant=None)
        row = working.find(post, job)
        assert row.state == jobs.SUCCEEDED, row.error
        (version,) = working.made(post, job)
        told.append(version.lineage["privacy"]["membership"])
        moved.append(row.result["promotion"])

    leaking, plain = told
    assert leaking["auc"]["interval"][0] > 0.62 > plain["auc"]["interval"][1]
    assert [(each["members"], each["others"], each["folds"]) for each in told] == [(160, 80, FOLDS)] * 2
    assert [each["moved"] for each in moved] == [False, True], moved
    assert "membership AUC" in moved[0]["reason"]["detail"]


def test_a_test_is_told_from_rather_than_folds(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_table(post, tenant, tmp_path, by_chance(120), target=["genre"])
    asked = {**BRIEF, "validation": {"folds": FOLDS}, "test": 0.25, "baselines": False}

    job = working.submit(post, tenant, dataset, params=asked)
    runner.run(post, "train", only_tenant=None)

    (version,) = working.made(post, job)
    report = version.lineage["privacy"]["membership"]
    assert report["non_members"] == "test" and "folds" not in report


def test_recordings_are_told_apart_as_a_whole(post: Post, tenant: str, tmp_path: Path) -> None:
    names = [f"{number}.wav" for number in range(8)]
    sounds = {name: recorded.write(tmp_path / name, 200.0 + 90 * place) for place, name in enumerate(names)}
    rows = [(name, "high" if place % 2 else "low", name) for place, name in enumerate(names)]
    dataset, _ = recorded.ingest(post, tenant, {**sounds, "list.csv": recorded.manifest(rows)})

    params = {"epochs": 2, "hidden": [], "batch_size": 4, "validation": {"folds": 2}, "baselines": False}
    job = working.submit(post, tenant, str(dataset.id), params=params)
    runner.run(post, "train", only_tenant=None)

    (version,) = working.made(post, job)
    report = version.lineage["privacy"]["membership"]
    assert (report["unit"], report["members"], report["others"]) == ("recording", 4, 4)
    assert report["non_members"] == "recordings that the fold held out" and report["auc"]["interval"] is None
