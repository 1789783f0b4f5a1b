"""Splits: the last rows as Keras has them, a seeded shuffle by class, and whole groups."""

import keras.src.trainers.data_adapters.array_slicing as keras_slicing
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import batches


@pytest.mark.parametrize("rows", [5, 99, 100, 101, 1237])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.55])
def test_the_last_rows_are_those_that_keras_takes(rows: int, fraction: float) -> None:
    (kept,), (validating,) = keras_slicing.train_validation_split((np.arange(rows),), fraction)

    split = batches.last_rows(rows, fraction)

    np.testing.assert_array_equal(split.train, kept)
    np.testing.assert_array_equal(split.validation, validating)


def test_a_fraction_of_nought_leaves_nothing_to_validate() -> None:
    split = batches.last_rows(10, 0.0)

    assert len(split.train) == 10 and len(split.validation) == 0


def test_a_shuffle_gives_every_class_its_share() -> None:
    strata = np.repeat([0, 1, 2], [700, 250, 50])

    split = batches.shuffled(strata, 0.2, seed=3)

    assert np.bincount(strata[split.validation]).tolist() == [140, 50, 10]
    assert sorted([*split.train.tolist(), *split.validation.tolist()]) == list(range(1000))


def test_a_shuffle_depends_on_its_seed_alone() -> None:
    strata = np.zeros(100, np.int64)

    first, again, other = (batches.shuffled(strata, 0.2, seed=seed).validation for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist() and first.tolist() != list(range(80, 100))


def test_no_class_loses_its_last_training_row() -> None:
    strata = np.array([0] * 50 + [1, 1, 2])

    split = batches.shuffled(strata, 0.5, seed=0)

    assert set(strata[split.train]) == {0, 1, 2}
    assert set(strata[split.validation]) == {0, 1}


def test_a_small_class_has_a_row_that_validates() -> None:
    strata = np.array([0] * 50 + [1, 1])

    split = batches.shuffled(strata, 0.1, seed=0)

    assert set(strata[split.validation]) == {0, 1}


@pytest.mark.parametrize(
    ("counts", "fraction"), [([1, 1, 1], 0.2), ([10, 10, 10], 0.25), ([3, 3, 94], 0.2), ([2], 0.9)]
)
def test_the_shares_of_classes_add_up_to_the_fraction_where_they_can(counts: list[int], fraction: float) -> None:
    shares = batches.allot(np.array(counts), fraction)

    assert all(0 <= share < count for share, count in zip(shares, counts, strict=True))
    least = sum(min(1, count - 1) for count in counts)
    most = sum(counts) - len(counts)
    assert shares.sum() == min(max(round(fraction * sum(counts)), least), most)


def test_a_group_is_never_on_both_sides() -> None:
    random = np.random.default_rng(0)
    groups, strata = random.integers(80, size=1000), random.integers(3, size=1000)

    split = batches.grouped(groups, 0.2, seed=1, strata=strata)

    assert not set(groups[split.train]) & set(groups[split.validation])
    assert 150 <= len(split.validation) <= 250


def test_groups_of_every_class_validate() -> None:
    groups = np.repeat(np.arange(30), 10)
    strata = groups % 3

    split = batches.grouped(groups, 0.2, seed=1, strata=strata)

    assert np.bincount(strata[split.validation]).tolist() == [20, 20, 20]


def test_a_class_of_one_group_stays_in_training() -> None:
    groups = np.array([0] * 10 + [1] * 10 + [2] * 10 + [3] * 10)
    strata = np.array([0] * 30 + [1] * 10)

    split = batches.grouped(groups, 0.3, seed=0, strata=strata)

    assert set(strata[split.validation]) == {0}


def test_one_class_a_group_still_validates() -> None:
    groups = np.repeat([0, 1, 2, 3], 5)

    split = batches.grouped(groups, 0.25, seed=0, strata=groups)

    assert len(split.validation) == 5


def test_groups_larger_than_the_share_give_the_smallest() -> None:
    groups = np.repeat([0, 1, 2], [40, 30, 35])

    split = batches.grouped(groups, 0.05, seed=0, strata=np.zeros(105, np.int64))

    assert set(groups[split.validation]) == {1}


def test_however_large_the_share_a_group_is_left_to_train() -> None:
    groups = np.repeat([0, 1, 2, 3], 5)

    split = batches.grouped(groups, 0.99, seed=0, strata=np.zeros(20, np.int64))

    assert len(split.train) == 5


def test_a_single_group_cannot_be_split() -> None:
    split = batches.grouped(np.zeros(10, np.int64), 0.2, seed=0, strata=np.zeros(10, np.int64))

    assert len(split.validation) == 0


@given(st.integers(0, 1000), st.integers(2, 20), st.lists(st.integers(0, 12), min_size=1, max_size=80))
def test_every_row_validates_in_one_fold_and_no_group_is_torn(seed: int, k: int, named: list[int]) -> None:
    groups = np.array(named)

    splits = batches.folds(groups, k, seed=seed, strata=groups % 3)

    assert sorted(np.concatenate([split.validation for split in splits]).tolist()) == list(range(len(groups)))
    for split in splits:
        assert not set(groups[split.train]) & set(groups[split.validation])
        assert len(split.train) + len(split.validation) == len(groups)


def test_folds_of_rows_keep_the_shares_of_strata() -> None:
    strata = np.repeat([0, 1, 2], [70, 25, 5])

    splits = batches.folds(np.arange(100), 5, seed=3, strata=strata)

    assert [np.bincount(strata[split.validation]).tolist() for split in splits] == [[14, 5, 1]] * 5


@given(
    st.floats(0.05, 0.95),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=60),
)
def test_nothing_that_trains_is_later_than_what_a_group_was_cut_at(
    fraction: float, rows: list[tuple[int, int]]
) -> None:
    times, groups = np.array([float(time) for time, _ in rows]), np.array([group for _, group in rows])

    split = batches.latest(times, groups, fraction)

    assert not set(groups[split.train]) & set(groups[split.validation])
    latest = [times[groups == group].max() for group in np.unique(groups[split.validation])]
    assert not latest or times[split.train].max() < min(latest)
    assert bool(latest) == (len({times[groups == group].max() for group in groups}) > 1)


def test_rows_of_one_moment_stay_on_one_side() -> None:
    split = batches.latest(np.array([1.0, 2, 3, 3, 3, 0, 1, 1, 2, 1]), np.arange(10), 0.2)

    assert split.validation.tolist() == [2, 3, 4]


def test_codes_are_numbered_as_they_first_stand() -> None:
    assert batches.first_seen(np.array([7, 2, 7, 5])).tolist() == [0, 1, 0, 2]
    assert batches.first_seen(np.array([0, 9, 0, 1])).tolist() == [0, 1, 0, 2]
