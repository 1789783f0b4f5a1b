"""Rows are drawn again, groups as a whole, and the interval holds the truth as often as it says."""

from collections.abc import Mapping

import numpy as np
import pytest

from worker import curves, resampling
from worker.resampling import Weighted


def never() -> None:
    """Nothing asks to stop."""


def mean_of(values: np.ndarray) -> Weighted:
    return lambda drawn: {"mean": drawn @ values / drawn.sum(axis=1)}


def spans(weighted: Weighted, units: np.ndarray, seed: int = 0) -> Mapping[str, resampling.Interval]:
    return resampling.intervals(weighted, units, seed=seed, check=never)


def test_rows_are_drawn_as_many_as_there_are_and_groups_as_a_whole() -> None:
    units = np.array([7, 7, 7, 2, 2, 9])

    drawn = np.concatenate(list(resampling.draw(units, seed=0)))

    assert drawn.shape == (resampling.RESAMPLES, 6)
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 3] == drawn[:, 4]).all()
    assert (drawn[:, [0, 3, 5]].sum(axis=1) == 3).all()
    # Each group stands for itself a third of the time.
    assert drawn[:, 5].mean() == pytest.approx(1, abs=0.1)


def test_the_same_seed_draws_the_same_whatever_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    first = spans(mean_of(values), np.arange(50), seed=3)

    monkeypatch.setattr(resampling, "AT_ONCE", 50 * 7)

    assert spans(mean_of(values), np.arange(50), seed=3) == first != spans(mean_of(values), np.arange(50), seed=4)


def test_of_very_many_rows_fewer_resamples_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "CELLS", 40 * 300)

    assert sum(map(len, resampling.draw(np.arange(40), seed=0))) == 300
    assert sum(map(len, resampling.draw(np.arange(4_000), seed=0))) == resampling.LEAST_RESAMPLES


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(0), 0

    for seed in range(200):
        (low, high) = spans(mean_of(random.normal(5, 2, size=80)), np.arange(80), seed)["mean"] or (0, 0)
        held += low <= 5 <= high

    assert 0.9 <= held / 200 <= 0.99


def test_rows_that_say_the_same_make_no_interval_narrower() -> None:
    values = np.random.default_rng(1).normal(size=30)
    alone = spans(mean_of(values), np.arange(30))["mean"]

    copied = mean_of(np.repeat(values, 10))
    as_groups, as_rows = (spans(copied, units)["mean"] for units in (np.repeat(np.arange(30), 10), np.arange(300)))

    assert alone is not None and as_groups is not None and as_rows is not None
    assert as_groups == pytest.approx(alone)
    assert as_rows[1] - as_rows[0] < 0.5 * (alone[1] - alone[0])


@pytest.mark.parametrize("units", [np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(20, np.int64)])
def test_one_group_or_none_has_no_interval(units: np.ndarray) -> None:
    assert spans(mean_of(np.ones(len(units))), units) == {}


def test_what_many_resamples_have_no_value_of_has_no_interval() -> None:
    often = np.arange(resampling.RESAMPLES) % 5 == 0

    def weighted(drawn: np.ndarray) -> dict[str, np.ndarray]:
        sums = drawn.sum(axis=1)
        return {"seldom": np.where(often, np.nan, sums), "always": sums}

    found = spans(weighted, np.arange(10))

    assert found == {"seldom": None, "always": [10.0, 10.0]}


def test_a_cancelled_job_is_heeded_between() -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        resampling.intervals(mean_of(np.ones(9)), np.arange(9), seed=0, check=cancel)


@pytest.mark.parametrize("seed", range(4))
def test_areas_of_rows_that_count_more_than_once_are_those_of_rows_repeated(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, scores = random.random(40) < 0.4, random.integers(0, 12, 40) / 12
    times = random.integers(0, 4, (6, 40))

    roc, precision = curves.Ranked(truth, scores).areas(times.astype(np.float64))

    for place, each in enumerate(times):
        rows = np.repeat(np.arange(40), each)
        assert roc[place] == pytest.approx(curves.roc_auc(truth[rows], scores[rows]))
        assert precision[place] == pytest.approx(curves.average_precision(truth[rows], scores[rows]))


def test_an_area_needs_both_sides() -> None:
    ranked = curves.Ranked(np.array([True, False]), np.array([0.7, 0.2]))

    roc, precision = ranked.areas(np.array([[2.0, 0], [0, 2], [1, 1]]))

    assert np.isnan(roc[:2]).all() and np.isnan(precision[:2]).all()
    assert (roc[2], precision[2]) == (1, 1)


def test_two_versions_are_compared_on_the_same_resamples() -> None:
    """Rows that are hard for both make both uncertain, and their difference is not."""
    random = np.random.default_rng(0)
    hard = random.normal(0, 10, 300)
    ours, theirs = hard + random.normal(0.2, 0.1, 300), hard

    found = resampling.paired(mean_of(ours), mean_of(theirs), np.arange(300), seed=1, check=never)["mean"]

    assert found is not None and found.p < 0.01
    assert 0.15 < found.interval[0] < (ours - theirs).mean() < found.interval[1] < 0.25


def test_a_version_is_no_better_than_itself() -> None:
    values = np.random.default_rng(0).normal(size=50)

    found = resampling.paired(mean_of(values), mean_of(values), np.arange(50), seed=1, check=never)["mean"]

    assert found == resampling.Paired([0.0, 0.0], 1.0)


def test_of_two_that_are_alike_the_p_is_small_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    found = [
        resampling.paired(mean_of(one), mean_of(other), np.arange(60), seed=0, check=never)["mean"]
        for one, other in random.normal(size=(200, 2, 60))
    ]

    small = np.mean([each.p < 0.1 for each in found if each is not None])
    assert 0.04 < small < 0.18


def test_of_one_unit_no_difference_can_be_told() -> None:
    values = np.arange(5.0)

    assert resampling.paired(mean_of(values), mean_of(values), np.zeros(5), seed=0, check=never) == {}
