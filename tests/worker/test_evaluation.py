"""A network and simpler models are judged on the same rows, each figure with its interval."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.kinds import KINDS
from tests.worker.canonical import music, write
from worker import evaluation, kinds
from worker.kinds.protocol import Prepared

Json = dict[str, Any]
ROWS = 240


def prepare(folder: Path, kind: str, params: Json, **roles: Any) -> Prepared:
    columns = {**music(ROWS), "band": [f"band {row // 8}" for row in range(ROWS)]}
    columns.pop("loudness" if kind == "classification" else "genre")
    target = "genre" if kind == "classification" else "loudness"
    paths, profile = write(folder, columns, target=[target], id="piece", **roles)
    learner, chosen = kinds.find(kind), KINDS[kind].ACTIONS["train"].model_validate(params)
    return learner.data.prepare(learner.data.load(paths, profile, chosen), chosen)


def judge(kind: str, prepared: Prepared, outputs: np.ndarray, params: Json) -> tuple[Json, Json]:
    chosen = KINDS[kind].ACTIONS["train"].model_validate(params)
    return evaluation.judge(kinds.find(kind), prepared, outputs, chosen, check=lambda: None)


def guesses(prepared: Prepared) -> np.ndarray:
    """Outputs that are right more often than not."""
    assert prepared.validation is not None
    random = np.random.default_rng(0)
    return np.clip(0.5 + 0.3 * (prepared.validation.y - 0.5) + random.normal(0, 0.2, prepared.validation.y.shape), 0, 1)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_every_figure_of_the_network_and_of_the_simpler_models_has_an_interval(kind: str, tmp_path: Path) -> None:
    prepared = prepare(tmp_path, kind, {}, drop=["band"])

    metrics, baselines = judge(kind, prepared, guesses(prepared), {})

    for said in (metrics["validation"], *baselines["validation"].values()):
        for name in KINDS[kind].METRICS:
            low, high = said[name]["interval"]
            # Of a figure at the end of what it can be nearly all resamples lie on one side.
            assert low <= said[name]["value"] <= high or name in ("calibration_error", "r2")


def test_rows_of_a_group_are_drawn_together(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, "classification", {}, group="band")
    assert prepared.validation is not None and prepared.validation_groups is not None
    assert len(np.unique(prepared.validation_groups)) == len(prepared.validation_groups) / 8
    # Whole bands are right or wrong.
    is_right = prepared.validation_groups % 3 > 0
    outputs = np.where(is_right[:, None], prepared.validation.y, 1 - prepared.validation.y).astype(np.float32)

    metrics, _ = judge("classification", prepared, outputs, {"baselines": False})
    by_row, _ = judge("classification", _without_groups(prepared), outputs, {"baselines": False})

    wide, narrow = (each["validation"]["accuracy"]["interval"] for each in (metrics, by_row))
    assert metrics["validation"]["accuracy"]["value"] == by_row["validation"]["accuracy"]["value"]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def _without_groups(prepared: Prepared) -> Prepared:
    return replace(prepared, validation_groups=None)


def test_one_group_held_out_has_figures_without_intervals(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, "classification", {}, group="band")
    assert prepared.validation_groups is not None
    prepared = replace(prepared, validation_groups=np.zeros_like(prepared.validation_groups))

    metrics, _ = judge("classification", prepared, guesses(prepared), {"baselines": False})

    accuracy = metrics["validation"]["accuracy"]
    assert accuracy["value"] is not None and accuracy["interval"] is None


def test_what_nothing_was_held_out_of_is_judged_on_its_training_rows(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, "classification", {"validation_split": 0.0}, group="band")

    metrics, _ = judge("classification", prepared, prepared.train.y, {"validation_split": 0.0, "baselines": False})

    assert set(metrics) == {"training"} and metrics["training"]["accuracy"] == {"value": 1.0, "interval": [1.0, 1.0]}


def test_the_same_judgement_comes_out_again(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, "classification", {}, drop=["band"])

    assert judge("classification", prepared, guesses(prepared), {}) == judge(
        "classification", prepared, guesses(prepared), {}
    )
