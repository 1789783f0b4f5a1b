"""The change that is found is the least one where that is known, and always one that changes the answer."""

import numpy as np
import pytest

from worker import counterfactuals
from worker.counterfactuals import Change, Progress, Space

WEIGHTS = np.array([1.0, -4.0, 0.5], np.float32)


def plane(x: np.ndarray) -> np.ndarray:
    return (x @ WEIGHTS)[:, None]


def above(border: float) -> Progress:
    return lambda outputs: outputs[:, 0] - border


def space(*places: int, reach: float = 10.0, deviation: float = 1.0) -> Space:
    ones = np.ones(len(places), np.float32)
    return Space(np.array(places, np.int64), -reach * ones, reach * ones, deviation * ones)


def find(row: list[float], where: Space, progress: Progress) -> list[Change]:
    return counterfactuals.find(plane, np.array(row, np.float32), WEIGHTS, where, progress)


def test_of_a_linear_model_the_steepest_column_moves_by_the_distance_to_the_border() -> None:
    found = find([1.0, 1.0, 1.0], space(0, 1, 2), above(5.5))

    # The row stands at -2.5, and -4 is the steepest: eight up are two down.
    assert [change.place for change in found] == [1]
    assert found[0].value == pytest.approx(1.0 - 8.0 / 4.0, abs=1e-4)


def test_distance_is_counted_in_standard_deviations() -> None:
    rare = Space(np.array([0, 1]), np.full(2, -20.0), np.full(2, 20.0), np.array([10.0, 1.0]))

    found = find([0.0, 0.0, 0.0], rare, above(4.0))

    # Four of the first column are 0.4 of its deviations, one of the second is 1.
    assert [change.place for change in found] == [0] and found[0].value == pytest.approx(4.0, abs=1e-3)


def test_where_no_column_reaches_alone_several_go_together() -> None:
    found = find([0.0, 0.0, 0.0], space(0, 1, 2, reach=1.0), above(5.25))

    moved = {change.place: change.value for change in found}
    assert moved[1] == pytest.approx(-1.0) and moved[0] == pytest.approx(1.0) and len(moved) == 3
    assert moved[2] == pytest.approx(0.5, abs=1e-3)
    point = np.array([[moved[0], moved[1], moved[2]]], np.float32)
    assert plane(point)[0, 0] > 5.25


def test_only_columns_that_may_change_do() -> None:
    found = find([0.0, 0.0, 0.0], space(0, 2), above(2.0))

    assert [change.place for change in found] == [0]


def test_what_cannot_be_reached_within_the_range_is_not_invented() -> None:
    assert find([0.0, 0.0, 0.0], space(0, 1, 2, reach=1.0), above(5.6)) == []
    assert find([0.0, 0.0, 0.0], space(2), above(100.0)) == []


def test_more_than_three_columns_are_never_needed() -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return x.sum(axis=1, keepdims=True)

    row, where = np.zeros(6, np.float32), space(*range(6), reach=1.0)

    assert counterfactuals.find(network, row, np.ones(6), where, above(3.5)) == []
    assert len(counterfactuals.find(network, row, np.ones(6), where, above(2.5))) == 3


def test_a_network_that_answers_no_number_ends_without_a_change() -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 1), np.nan, np.float32)

    assert counterfactuals.find(network, np.zeros(3, np.float32), WEIGHTS, space(0, 1), above(1.0)) == []


def test_of_two_ways_to_the_border_the_nearer_is_taken() -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return np.abs(x[:, :1] - 1.0)

    found = counterfactuals.find(network, np.array([2.0], np.float32), np.ones(1), space(0), above(3.0))

    assert found[0].value == pytest.approx(4.0, abs=1e-4)


def test_a_row_outside_the_range_is_brought_back_into_it() -> None:
    found = find([0.0, 30.0, 0.0], space(1), above(-100.0))

    assert -10 <= found[0].value <= 10.0
