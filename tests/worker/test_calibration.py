"""Temperatures, thresholds and confidences that held-out rows teach."""

import numpy as np
import pytest

from worker import calibration, curves


def overconfident(rows: int, *, by: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes and softmax probabilities of three, whose logits are `by` times what they should be."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = (random.uniform(size=(rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    scaled = np.exp(logits * by) / np.exp(logits * by).sum(axis=1, keepdims=True)
    return np.eye(3, dtype=np.float32)[classes], scaled.astype(np.float32)


def error(truth: np.ndarray, outputs: np.ndarray) -> float:
    return curves.calibration_error(outputs.max(axis=1), outputs.argmax(axis=1) == truth.argmax(axis=1))


def test_the_temperature_that_was_taken_away_is_found_and_other_rows_are_calibrated_by_it() -> None:
    truth, outputs = overconfident(4000, by=3.0)
    others, said = overconfident(4000, by=3.0, seed=1)

    (temperature,) = calibration.fit(truth, outputs, is_softmax=True)

    assert temperature == pytest.approx(3.0, rel=0.1)
    scaled = calibration.scaled(said, [temperature], is_softmax=True)
    assert error(others, scaled) < error(others, said) / 2
    assert np.array_equal(scaled.argmax(axis=1), said.argmax(axis=1))


def test_one_output_is_scaled_as_the_softmax_of_two() -> None:
    p = np.array([[0.02], [0.4], [0.999]], np.float64)

    one = calibration.scaled(p, [2.5], is_softmax=False)
    two = calibration.scaled(np.concatenate([1 - p, p], axis=1), [2.5], is_softmax=True)

    np.testing.assert_allclose(one[:, 0], two[:, 1], rtol=1e-9)


@pytest.mark.parametrize("is_softmax", [False, True])
def test_outputs_of_0_and_1_stay_probabilities(is_softmax: bool) -> None:
    outputs = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)

    scaled = calibration.scaled(outputs, [0.1] if is_softmax else [0.1, 20.0], is_softmax=is_softmax)

    assert np.isfinite(scaled).all() and (scaled >= 0).all() and (scaled <= 1).all()


@pytest.mark.parametrize("is_softmax", [False, True])
def test_of_equal_probabilities_and_of_one_class_nothing_is_learned(is_softmax: bool) -> None:
    equal, mixed = np.full((40, 2), 0.5, np.float32), np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    sure, one_class = np.tile([0.9, 0.1], (40, 1)).astype(np.float32), np.tile([1.0, 0.0], (40, 1))

    assert set(calibration.fit(mixed, equal, is_softmax=is_softmax)) == {1.0}
    assert set(calibration.fit(one_class, sure, is_softmax=is_softmax)) == {1.0}


def test_halves_are_of_whole_units_and_about_as_large() -> None:
    units = np.repeat(np.arange(12), [20, 15, 9, 9, 8, 8, 3, 3, 2, 2, 1, 1])

    half = calibration.halves(units, seed=0)

    assert half is not None and abs(int(half.sum()) - len(units) // 2) <= 2
    assert all(len(set(half[units == unit])) == 1 for unit in range(12))


@pytest.mark.parametrize("units", [np.arange(29), np.zeros(100, np.int64), np.arange(0)])
def test_too_few_rows_and_a_single_unit_have_no_halves(units: np.ndarray) -> None:
    assert calibration.halves(units, seed=0) is None


def test_each_half_is_changed_by_what_the_other_chose() -> None:
    half, values = np.array([True, True, False, False]), np.array([1.0, 2.0, 10.0, 20.0])

    made = calibration.crossed(half, values, lambda chosen: lambda each: each - values[chosen].mean())

    assert made.tolist() == [1 - 15.0, 2 - 15.0, 10 - 1.5, 20 - 1.5]


def test_the_threshold_is_the_one_of_the_highest_f1() -> None:
    truth = np.array([1, 1, 0, 1, 0, 0, 0, 0], bool)
    said = np.array([0.30, 0.25, 0.22, 0.20, 0.1, 0.08, 0.05, 0.01])

    found = calibration.best_threshold(truth, said)

    def f1(cut: float) -> float:
        chosen = said >= cut
        return float(2 * (chosen & truth).sum() / (chosen.sum() + truth.sum()))

    assert f1(found) == max(f1(cut) for cut in said) > f1(0.5)


def test_without_a_row_of_the_label_its_threshold_is_one_half() -> None:
    assert calibration.best_threshold(np.zeros(5, bool), np.linspace(0, 1, 5)) == 0.5


def test_the_least_confidence_covers_as_much_as_it_may() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.5])
    is_right = np.array([1, 1, 1, 0, 1, 0], bool)

    assert calibration.least_confidence(confidence, is_right, 0.8) == 0.6
    assert calibration.least_confidence(confidence, is_right, 0.9) == 0.8
    assert calibration.least_confidence(confidence, ~is_right, 0.9) is None
