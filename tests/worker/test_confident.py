"""Confident learning by hand: thresholds, the confident joint, the estimated noise, and who is suspected."""

import numpy as np
import pytest

from worker import confident

# Three rows of the first class and two of the second; the third says it is of the second.
GIVEN = np.array([0, 0, 0, 1, 1])
SAID = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]])


def test_a_threshold_is_how_likely_a_class_is_for_the_rows_that_have_it() -> None:
    found = confident.thresholds(GIVEN, SAID)

    # (0.9 + 0.8 + 0.1) / 3 and (0.7 + 0.8) / 2
    assert found == pytest.approx([0.6, 0.75])


def test_a_class_without_rows_is_never_reached() -> None:
    said = np.array([[0.1, 0.1, 0.8], [0.2, 0.1, 0.7]])

    assert confident.thresholds(np.array([0, 1]), said)[2] == np.inf
    assert 2 not in confident.true_classes(np.array([0, 1]), said)


def test_rows_are_counted_as_the_class_that_reaches_its_threshold() -> None:
    true = confident.true_classes(GIVEN, SAID)

    # The fourth is below both thresholds: nobody counts it.
    assert true.tolist() == [0, 0, 1, -1, 1]
    assert confident.confident_joint(GIVEN, true, 2).tolist() == [[2, 1], [0, 1]]


def test_the_joint_the_noise_and_the_error_rate_are_those_of_the_paper() -> None:
    joint = confident.confident_joint(GIVEN, confident.true_classes(GIVEN, SAID), 2)

    estimate = confident.estimate_joint(joint, np.bincount(GIVEN))

    # The first class: 3 rows as 2 to 1; the second: 2 rows, all of it; of 5.
    assert estimate == pytest.approx(np.array([[0.4, 0.2], [0.0, 0.4]]))
    assert confident.error_rate(estimate) == pytest.approx(0.2)
    # Of rows that truly are of the second class a third was given the first.
    assert confident.noise_matrix(estimate) == pytest.approx(np.array([[1.0, 1 / 3], [0.0, 2 / 3]]))


def test_a_class_of_which_no_row_is_counted_is_as_it_was_given() -> None:
    estimate = confident.estimate_joint(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([2, 2]))

    assert estimate.tolist() == [[0.5, 0.0], [0.0, 0.5]]


def test_the_suspect_is_the_row_that_is_counted_against_its_label() -> None:
    doubts = confident.doubt(GIVEN, SAID)

    assert doubts.is_suspect.tolist() == [False, False, True, False, False]
    assert doubts.margin == pytest.approx([0.8, 0.6, -0.8, 0.4, 0.6])
    assert doubts.self_confidence == pytest.approx([0.9, 0.8, 0.1, 0.7, 0.8])
    assert doubts.suggested.tolist() == [1, 1, 1, 0, 0]


def test_probabilities_that_are_all_the_same_suspect_nobody() -> None:
    given, said = np.array([0, 1, 2] * 4), np.full((12, 3), 1 / 3)

    # Each class reaches its threshold alike: the label that was given goes before the others.
    assert not confident.doubt(given, said).is_suspect.any()


def test_resampled_error_rates_are_those_of_the_rows_that_are_drawn() -> None:
    times = np.array([[1.0, 1, 1, 1, 1], [1, 1, 0, 1, 1], [0, 0, 3, 1, 1]])

    rates = confident.error_rates(GIVEN, SAID)(times)

    # Alone in its class the third row is wrong three times of five.
    assert rates == pytest.approx([0.2, 0.0, 0.6])
