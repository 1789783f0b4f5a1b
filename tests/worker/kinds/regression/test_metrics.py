"""Metrics of regressions agree with scikit-learn, in the client's own units."""

import json

import numpy as np
import pytest
import sklearn.metrics as reference

from shared.errors import NotAllowedNow
from shared.kinds.regression import METRICS
from worker.kinds.regression import metrics
from worker.kinds.regression.data import Target

YEAR = Target(columns=("year",), mean=(1950.0,), scale=(30.0,)).model_dump(mode="json")
TWO = Target(columns=("year", "bpm"), mean=(1950.0, 120.0), scale=(30.0, 20.0)).model_dump(mode="json")


@pytest.mark.parametrize("target", [YEAR, TWO])
def test_metrics_are_those_of_scikit_learn(target: dict[str, list[float]]) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(100, len(target["columns"]))).astype(np.float32)
    outputs = (truth + random.normal(0, 0.3, truth.shape)).astype(np.float32)
    true, said = (values * np.array(target["scale"]) + np.array(target["mean"]) for values in (truth, outputs))

    found = metrics.evaluate(target, truth, outputs)

    assert {name: found[name]["value"] for name in METRICS} == pytest.approx({
        "r2": reference.r2_score(true, said),
        "mse": reference.mean_squared_error(true, said),
        "mae": reference.mean_absolute_error(true, said),
        "rmse": reference.root_mean_squared_error(true, said),
    })  # fmt: skip
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_each_of_several_targets_has_its_own() -> None:
    found = metrics.evaluate(TWO, np.array([[0, 0], [1, 1.0]]), np.array([[0, 0.5], [1, 1.5]]))

    assert found["per_target"]["year"] == {"mse": 0, "mae": 0, "rmse": 0, "r2": 1}
    assert found["per_target"]["bpm"]["mae"] == 10


def test_a_constant_truth_has_no_r2_and_says_why() -> None:
    found = metrics.evaluate(YEAR, np.zeros((4, 1)), np.ones((4, 1)))

    assert found["r2"]["value"] is None and "same in every row" in found["r2"]["reason"]
    assert found["mae"]["value"] == 30


def test_what_another_regression_says_is_put_in_the_same_units_and_order() -> None:
    turned = Target(columns=("bpm", "year"), mean=(100.0, 1900.0), scale=(10.0, 100.0)).model_dump()

    said = metrics.translate(TWO, turned, np.array([[4.0, 0.8]]))

    assert said.tolist() == [[1.0, 1.0]]
    assert metrics.translate(YEAR, turned, np.array([[4.0, 0.8]])).tolist() == [[1.0]]


def test_a_regression_that_lacks_a_target_is_not_compared() -> None:
    with pytest.raises(NotAllowedNow, match="does not predict 'bpm'"):
        metrics.translate(TWO, YEAR, np.zeros((1, 1)))
