"""Ratios of sums, their intervals, and how far distributions are from one another."""

import math

import numpy as np
import pytest

from worker.symbolic import ratios
from worker.symbolic.ratios import Ratio, Shares


def test_a_ratio_is_one_of_sums_not_a_mean_of_ratios() -> None:
    found = ratios.gather([{"x": Ratio(1, 1)}, {"x": Ratio(0, 9)}])

    assert found["x"]["value"] == 0.1


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        shares = random.uniform(0.2, 0.4, 40)
        found = ratios.gather([{"x": Ratio(float(share), 1.0)} for share in shares])
        low, high = found["x"]["interval"]
        held += low <= 0.3 <= high

    assert 0.88 <= held / 200 <= 0.99


def test_the_interval_of_one_piece_is_its_ratio() -> None:
    assert ratios.gather([{"x": Ratio(1, 4)}]) == {"x": {"value": 0.25, "interval": [0.25, 0.25]}}


def test_where_nothing_counts_there_is_no_value() -> None:
    found = ratios.gather([{"x": Ratio(0, 0), "y": Shares(("a",), np.zeros(1))}])

    assert found == {"x": {"value": None, "interval": None}, "y": {"labels": ["a"], "value": None}}


def test_pieces_in_which_nothing_counts_do_not_break_the_interval() -> None:
    found = ratios.gather([{"x": Ratio(0, 0)}] * 9 + [{"x": Ratio(1, 2)}])

    assert found["x"] == {"value": 0.5, "interval": [0.5, 0.5]}


def test_shares_are_added_up_over_the_pieces() -> None:
    found = ratios.gather([{"x": Shares(("a", "b"), np.array(counts))} for counts in ([1, 0], [2, 1])])

    assert found == {"x": {"labels": ["a", "b"], "value": [0.75, 0.25]}}


def test_no_pieces_have_no_figures() -> None:
    assert ratios.gather([]) == {}


def test_the_same_pieces_have_the_same_figures() -> None:
    pieces = [{"x": Ratio(at % 7, 10)} for at in range(50)]

    assert ratios.gather(pieces) == ratios.gather(pieces)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 0], [0, 1], 1.0),
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        # By hand: half of log2(4/3), and half of 1/2 log2(2/3) + 1/2 log2 2.
        ([1, 0], [0.5, 0.5], math.sqrt(0.5 * math.log2(4 / 3) + 0.25 * (math.log2(2 / 3) + 1))),
    ],
)
def test_the_distance_of_two_distributions(one: list[float], other: list[float], expected: float) -> None:
    assert ratios.distance(one, other) == pytest.approx(expected)
    assert ratios.distance(other, one) == pytest.approx(expected)
