"""What the training rows teach about a table: fills, fences, scales, words, and what cannot help."""

from typing import Any

import numpy as np
import pytest

from shared.table_params import Preprocessing
from worker import features, learning
from worker.features import Category, Number
from worker.tables import MISSING, Texts


def learned(column: Any, **settings: Any) -> Any:
    (feature,), cautions = learning.learn({"it": column}, Preprocessing(**settings))
    assert cautions == []
    return feature


@pytest.mark.parametrize(("missing", "fill"), [("median", 2.0), ("mean", 4.0), ("zero", 0.0)])
def test_a_missing_cell_is_filled_from_what_is_present(missing: str, fill: float) -> None:
    assert learned(np.array([1.0, 2.0, 9.0, np.nan]), missing=missing).fill == fill


@pytest.mark.parametrize(("holes", "indicator"), [(0, False), (10, False), (11, True)])
def test_only_more_than_a_hundredth_missing_gets_a_column_of_its_own(holes: int, indicator: bool) -> None:
    values = np.arange(1000.0)
    values[:holes] = np.nan

    assert learned(values).indicator is indicator


def test_training_rows_come_out_with_mean_nought_and_deviation_one() -> None:
    values = np.random.default_rng(0).normal(3, 7, 500)

    matrix, _ = features.matrix([learned(values)], {"it": values})

    assert abs(matrix.mean()) < 1e-6 and abs(matrix.std() - 1) < 1e-6


def test_a_wild_value_meets_the_fence_and_ordinary_ones_do_not() -> None:
    values = np.append(np.random.default_rng(0).normal(size=60), 1e6)

    feature = learned(values)

    assert values[:-1].max() < feature.high < 20
    assert values[:-1].min() > feature.low


def test_the_fences_are_percentiles_moved_outwards_by_their_distance() -> None:
    assert learning.fences(np.arange(101.0)) == (1 - 98, 99 + 98)


def test_fences_do_not_erase_a_rare_flag() -> None:
    values = np.zeros(1000)
    values[:3] = 1

    assert learning.fences(values) == (0.0, 1.0)


def test_kept_outliers_and_no_scale_leave_numbers_as_they_are() -> None:
    feature = learned(np.array([1.0, 2.0, 1e6]), outliers="keep", scale="none")

    assert feature == Number(name="it", fill=2.0)


def test_the_commonest_words_have_a_column_and_the_others_share_one() -> None:
    words = Texts(["C", "G", "D", "A"], np.repeat([0, 1, 2, 3], [5, 9, 7, 1]))

    assert learned(words, categories=2) == Category(name="it", words=("D", "G"), rest=True)
    assert learned(words) == Category(name="it", words=("C", "D", "G"), rest=True)


def test_a_word_of_another_split_is_not_learned() -> None:
    words = Texts(["C", "G", "unseen"], np.array([0, 0, 1, 1, 0, 1]))

    assert learned(words) == Category(name="it", words=("C", "G"))


def test_missing_words_are_part_of_the_rest() -> None:
    assert learned(Texts(["C", "G"], np.array([0, 0, 1, 1, MISSING]))).rest


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (np.full(50, 4.0), "it is the same in every training row"),
        (np.full(50, np.nan), "it is empty in every training row"),
        (Texts(["C"], np.zeros(50, np.int32)), "it is the same in every training row"),
        (Texts([], np.full(50, MISSING)), "it is empty in every training row"),
        (Texts([f"title {row}" for row in range(50)], np.arange(50)), "its 50 different texts in 50 rows"),
    ],
)
def test_a_column_that_cannot_help_is_left_out_with_a_caution(column: Any, reason: str) -> None:
    state, (caution,) = learning.learn({"it": column}, Preprocessing())

    assert state == ()
    assert caution.code == "column_left_out" and reason in caution.detail and "'it'" in caution.detail


def test_a_constant_with_many_holes_stays_because_the_holes_may_tell() -> None:
    values = np.full(50, 4.0)
    values[:5] = np.nan

    assert learned(values).indicator
