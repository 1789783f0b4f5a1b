"""Trainings judged out of fold, on a test, by group and beside a random split: real jobs, both databases."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import jobs
from tests.worker import canonical, working
from worker import runner
from worker.runner import Post

Json = dict[str, Any]
ROWS = 96
QUICK = {"epochs": 8, "hidden": [{"units": 8}], "learning_rate": 0.01, "batch_size": 16}


def columns() -> Json:
    return {
        **canonical.music(ROWS),
        "band": [f"band {row // 4}" for row in range(ROWS)],
        "decade": ["60s"] * 40 + ["70s"] * 40 + ["80s"] * 13 + ["90s"] * 3,
    }


def train(post: Post, tenant: str, folder: Path, kind: str, params: Json, **roles: Any) -> Any:
    target, other = ("genre", "loudness") if kind == "classification" else ("loudness", "genre")
    table = {name: column for name, column in columns().items() if name != other}
    dataset = working.store_table(post, tenant, folder, table, target=[target], id="piece", mask=["decade"], **roles)
    job = working.submit(post, tenant, dataset, kind=kind, params={**QUICK, **params})
    runner.run(post, "train", only_tenant=None)
    return working.find(post, job)


def test_folds_a_test_groups_and_a_random_split_are_all_told(post: Post, tenant: str, tmp_path: Path) -> None:
    params = {"validation": {"folds": 3}, "test": 0.25, "report_by": ["decade"], "compare_random_split": True}

    row = train(post, tenant, tmp_path, "classification", params, group="band")

    assert row.state == jobs.SUCCEEDED, row.error
    metrics, baselines = row.result["metrics"], row.result["baselines"]
    assert set(metrics) == {"validation", "folds", "test", "per_group", "random_split", "importance"}
    assert set(baselines) == {"validation", "test"} and set(baselines["test"]) == set(baselines["validation"])
    (version,) = working.made(post, row.id)
    folds, crossed = metrics["folds"], ROWS - version.lineage["split"]["test"]["rows"]
    assert version.lineage["leakage"] == row.result["leakage"] and row.result["leakage"]["suspected"] is False
    assert [fold["fold"] for fold in folds["each"]] == [1, 2, 3]
    assert sum(fold["rows"] for fold in folds["each"]) == crossed
    accuracies = [fold["metrics"]["accuracy"] for fold in folds["each"]]
    assert folds["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert folds["sd"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    # Pooled, each row counts once.
    weighted = sum(fold["rows"] * fold["metrics"]["accuracy"] for fold in folds["each"]) / crossed
    assert metrics["validation"]["accuracy"]["value"] == pytest.approx(weighted)
    assert metrics["validation"]["accuracy"]["interval"] and metrics["test"]["accuracy"]["interval"]
    assert sum(each["rows"] for each in metrics["per_group"]["decade"]) == crossed
    assert [each["value"] for each in metrics["per_group"]["decade"]][-1] is None
    assert row.result["epochs"] == 8


def test_folds_of_a_regression_are_judged_in_its_own_units(post: Post, tenant: str, tmp_path: Path) -> None:
    row = train(
        post, tenant, tmp_path, "regression", {"validation": {"folds": 3}, "epochs": 60}, drop=["band", "noise", "key"]
    )

    assert row.state == jobs.SUCCEEDED, row.error
    metrics = row.result["metrics"]
    squares = sum(fold["rows"] * fold["metrics"]["mse"] for fold in metrics["folds"]["each"]) / ROWS
    assert metrics["validation"]["mse"]["value"] == pytest.approx(squares, rel=1e-4)
    assert metrics["validation"]["r2"]["value"] > 0.7
    assert set(row.result["baselines"]["validation"]) == {"mean", "linear_regression", "gradient_boosted_trees"}
    assert "random_split" not in metrics


def test_a_class_that_one_fold_alone_has_ends_nobody(post: Post, tenant: str, tmp_path: Path) -> None:
    table = {**columns(), "genre": ["odd"] * 4 + ["pop", "rock"] * 46}
    table.pop("loudness")
    dataset = working.store_table(post, tenant, tmp_path, table, target=["genre"], id="piece", group="band")

    job = working.submit(post, tenant, dataset, params={**QUICK, "validation": {"folds": 3}, "baselines": False})
    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.SUCCEEDED, row.error
    without = [fold for fold in row.result["metrics"]["folds"]["each"] if fold["metrics"]["roc_auc"] is None]
    told = [each["detail"] for each in row.result["warnings"] if each["code"] == "metric_undefined"]
    assert len(without) == len(told) == 2 and all("of some label" in detail for detail in told)
    assert "class_not_trained" in [each["code"] for each in row.result["warnings"]]
    assert row.result["metrics"]["validation"]["roc_auc"]["value"] is not None


@pytest.mark.parametrize("keep", [None, "best"])
def test_a_cancel_between_folds_ends_the_training_without_a_model(
    post: Post, tenant: str, tmp_path: Path, keep: str | None
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset, params={**working.ENDLESS, "validation": {"folds": 2}})
    worker = working.Working(post)
    working.wait(lambda: (working.find(post, job).progress or {}).get("unit") == "folds")

    working.cancel(post, tenant, job, keep=keep)
    worker.join()

    assert working.find(post, job).state == jobs.CANCELLED and working.made(post, job) == []


def test_a_budget_that_ends_within_the_folds_is_told_as_too_small(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path)
    params = {**working.ENDLESS, "validation": {"folds": 2}}
    job = working.submit(post, tenant, dataset, params=params, budget={"compute_seconds": 0.5})

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == jobs.FAILED and row.error["code"] == "budget_too_small"
