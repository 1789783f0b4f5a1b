"""Areas and calibration agree with scikit-learn and with cases worked by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from worker import curves


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 6])
def test_areas_are_those_of_scikit_learn_with_ties_and_without(seed: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(300) < 0.3
    scores = np.round(np.clip(random.normal(0.4 + 0.2 * truth, 0.2), 0, 1), decimals)

    assert curves.roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert curves.average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


def test_a_perfect_order_has_area_one_and_equal_scores_a_half() -> None:
    truth = np.array([False, False, True, True])

    assert curves.roc_auc(truth, np.array([0.1, 0.2, 0.7, 0.9])) == 1.0
    assert curves.roc_auc(truth, np.full(4, 0.5)) == 0.5
    assert curves.average_precision(truth, np.full(4, 0.5)) == 0.5


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.62, 0.62])
    is_right = np.array([True, False, True, True])

    # Bins (14/15, 1] and (9/15, 10/15], two rows each: |0.5 - 0.95| / 2 + |1 - 0.62| / 2.
    assert curves.calibration_error(confidence, is_right) == pytest.approx(0.225 + 0.19)


def test_a_forecaster_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    confidence = np.full(100, 0.8)

    assert curves.calibration_error(confidence, np.arange(100) < 80) == pytest.approx(0, abs=1e-12)


def test_a_bin_includes_its_upper_edge() -> None:
    # 0.15 and 0.2 both lie in (2/15, 3/15]: |0.5 - 0.175|.
    assert curves.calibration_error(np.array([0.15, 0.2]), np.array([False, True])) == pytest.approx(0.325)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_the_ends_of_the_scale_have_a_bin(confidence: float) -> None:
    assert curves.calibration_error(np.array([confidence]), np.array([True])) == 1 - confidence
