"""Intervals and chances are those of pencil and paper where few users leave few ways, and SciPy's where many do."""

import numpy as np
import pytest
from scipy import stats

from worker.recommenders import intervals
from worker.recommenders.intervals import mean, means, paired


def test_two_users_can_be_drawn_in_four_ways() -> None:
    told = mean(np.array([0.0, 1.0]), seed=1)

    # Means 0, 1/2, 1/2, 1: a quarter of the resamples lies at each end, far more than 2.5 %.
    assert told == {"value": 0.5, "interval": [0.0, 1.0], "users": 2}


def test_an_interval_is_scipys() -> None:
    values = np.random.default_rng(2).beta(0.5, 2, 400)

    told = mean(values, seed=3)

    oracle = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=4).confidence_interval
    width = oracle.high - oracle.low
    assert told["value"] == pytest.approx(values.mean(), rel=1e-12)
    assert told["interval"] == [pytest.approx(bound, abs=0.08 * width) for bound in oracle]


def test_nineteen_of_twenty_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(5)
    told = [mean(random.exponential(size=200), seed=seed) for seed in range(400)]

    held = sum(low <= 1 <= high for low, high in (each["interval"] for each in told))

    # 380 are expected; the percentile interval of skewed values holds a little less.
    assert 0.91 <= held / 400 <= 0.97


def test_users_without_a_value_are_left_out() -> None:
    values = np.random.default_rng(6).random(50)

    told = mean(np.insert(values, [0, 7, 50], np.nan), seed=1)

    assert told == mean(values, seed=1)
    assert told["users"] == 50


def test_no_users_have_no_mean_and_one_user_no_interval() -> None:
    assert mean(np.zeros(0), seed=1) == {"value": None, "interval": None, "users": 0}
    assert mean(np.array([np.nan, np.nan]), seed=1) == {"value": None, "interval": None, "users": 0}
    assert mean(np.array([np.nan, 0.25]), seed=1) == {"value": 0.25, "interval": None, "users": 1}


def test_metrics_together_have_the_intervals_that_each_has_alone() -> None:
    random = np.random.default_rng(8)
    metrics = {"recall@20": random.random(300), "ndcg@100": random.random(300)}
    for values in metrics.values():
        values[::7] = np.nan

    together = means(metrics, seed=9)

    for name, values in metrics.items():
        alone = mean(values, seed=9)
        assert together[name]["value"] == pytest.approx(alone["value"], rel=1e-12)
        assert together[name]["interval"] == pytest.approx(alone["interval"], rel=1e-12)
    assert means({}, seed=9) == {}


def test_metrics_of_different_users_are_refused() -> None:
    with pytest.raises(ValueError, match="expected the same users"):
        means({"recall@20": np.array([0.5, np.nan]), "ndcg@20": np.array([0.5, 0.5])}, seed=1)


def test_the_same_seed_tells_the_same_and_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(10).random(101)
    told = mean(values, seed=11)

    monkeypatch.setattr(intervals, "AT_ONCE", 5000)

    assert mean(values, seed=11)["interval"] == pytest.approx(told["interval"], rel=1e-12)
    assert mean(values, seed=12)["interval"] != told["interval"]


def test_three_signs_fall_in_eight_ways() -> None:
    told = paired(np.array([3.0, 2.0, 0.0]), np.array([0.0, 1.0, 1.0]), seed=1)

    # 3 + 1 - 1 is 3. Of 5, 3, 3, 1 and their negatives six are at least as far from 0.
    assert told["p"] == 6 / 8
    assert told["difference"] == 1.0
    assert told["users"] == 3


def test_nine_users_who_are_all_better_off_are_one_way_in_256() -> None:
    ours = np.full(9, 0.3)

    told = paired(ours, ours - np.linspace(0.1, 0.2, 9), seed=1)

    # All better or all worse: 2 of 512. The ninth sign is the first of a second byte.
    assert told["p"] == 2 / 512
    assert told["interval"][0] > 0


def test_users_who_are_served_alike_change_no_chance() -> None:
    ours, theirs = np.array([3.0, 2.0, 0.0]), np.array([0.0, 1.0, 1.0])
    alike = np.linspace(0, 1, 500)

    told = paired(np.append(ours, alike), np.append(theirs, alike), seed=1)

    assert told["p"] == 6 / 8
    assert told["difference"] == pytest.approx(3 / 503, rel=1e-12)


@pytest.mark.parametrize("users", [5, 13])
def test_few_users_have_exactly_the_chance_that_scipy_finds(users: int) -> None:
    ours, theirs = np.random.default_rng(users).normal(0.2, 1, (2, users))

    assert paired(ours, theirs, seed=1)["p"] == pytest.approx(oracle(ours, theirs), rel=1e-12)


@pytest.mark.parametrize("users", [14, 40, 600])
def test_many_users_have_nearly_the_chance_that_scipy_finds(users: int) -> None:
    random = np.random.default_rng(users)
    theirs = random.normal(size=users)
    ours = theirs + random.normal(1.4 / users**0.5, 1, users)

    assert paired(ours, theirs, seed=1)["p"] == pytest.approx(oracle(ours, theirs), abs=0.02)


def oracle(ours: np.ndarray, theirs: np.ndarray) -> float:
    test = stats.permutation_test(
        (ours, theirs),
        lambda one, other, axis: np.mean(one - other, axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        rng=7,
    )
    return float(test.pvalue)


def test_models_that_are_no_better_seldom_seem_so() -> None:
    random = np.random.default_rng(13)

    chances = [paired(*random.random((2, 60)), seed=seed)["p"] for seed in range(200)]

    # Uniform: 10 of 200 are expected at or below 5 %, and a hundred below a half.
    assert 3 <= sum(chance <= 0.05 for chance in chances) <= 18
    assert 80 <= sum(chance <= 0.5 for chance in chances) <= 120


def test_a_chance_is_never_0() -> None:
    ours = np.random.default_rng(14).random(1000) + 1

    assert paired(ours, np.zeros(1000), seed=1)["p"] == 1 / 10_001


def test_who_is_compared_does_not_matter_but_for_the_sign() -> None:
    ours, theirs = np.random.default_rng(15).random((2, 100))

    one, other = paired(ours, theirs, seed=1), paired(theirs, ours, seed=1)

    assert one["p"] == other["p"]
    assert one["difference"] == -other["difference"]


def test_models_that_are_alike_differ_by_nothing() -> None:
    values = np.random.default_rng(16).random(30)

    assert paired(values, values, seed=1) == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0, "users": 30}


def test_only_users_with_both_figures_are_compared() -> None:
    told = paired(np.array([np.nan, 0.5, 0.75, 1.0]), np.array([0.5, np.nan, 0.5, 0.5]), seed=1)

    assert told["users"] == 2
    assert told["difference"] == 0.375


def test_nobody_to_compare_is_said_as_nothing() -> None:
    nobody = {"difference": None, "interval": None, "p": None, "users": 0}

    assert paired(np.zeros(0), np.zeros(0), seed=1) == nobody
    assert paired(np.array([np.nan]), np.array([0.5]), seed=1) == nobody
    assert paired(np.array([0.75]), np.array([0.5]), seed=1) == {
        "difference": 0.25,
        "interval": None,
        "p": 1.0,
        "users": 1,
    }
