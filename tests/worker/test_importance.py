"""A column that a model needs is missed when it is shuffled, and one that it does not need is not."""

import numpy as np
import pytest

from shared.errors import JobCancelled
from worker import importance
from worker.features import Category, Number

ROWS = 400


def matrix() -> np.ndarray:
    """A planted number, noise, and a word of three that counts half as much."""
    random = np.random.default_rng(0)
    words = np.eye(3)[random.integers(0, 3, ROWS)]
    return np.concatenate([random.normal(size=(ROWS, 2)), words], axis=1).astype(np.float32)


FEATURES = (Number(name="planted"), Number(name="noise"), Category(name="word", words=("a", "b", "c")))


def network(x: np.ndarray) -> np.ndarray:
    return x[:, :1] + x[:, 2:] @ np.array([[0.5], [0.0], [-0.5]], np.float32)


def r2(truth: np.ndarray) -> importance.Judge:
    def judge(places: np.ndarray, outputs: np.ndarray) -> float:
        true = truth[places]
        return float(1 - ((true - outputs) ** 2).mean() / true.var())

    return judge


def measured(*, judge: importance.Judge | None = None, is_higher_better: bool = True, rows: int = ROWS) -> list[dict]:
    x = matrix()
    return importance.measure(
        network, x, FEATURES, judge or r2(network(x)), rows=rows, is_higher_better=is_higher_better, seed=3,
        check=lambda: None,
    )  # fmt: skip


def test_what_was_planted_comes_first_and_noise_costs_nothing() -> None:
    found = measured()

    assert [each["column"] for each in found] == ["planted", "word", "noise"]
    planted, word, noise = (each["drop"] for each in found)
    # Of a shuffled column the squares that are missed are twice its variance (Breiman 2001).
    assert planted == pytest.approx(2 * 1 / (1 + 1 / 6), rel=0.15)
    assert word == pytest.approx(2 * (1 / 6) / (1 + 1 / 6), rel=0.25)
    assert noise == 0 and found[2]["sd"] == 0 and found[0]["sd"] > 0


def test_a_metric_that_shall_be_low_is_missed_upwards() -> None:
    truth = network(matrix())

    found = measured(
        judge=lambda places, outputs: float(np.abs(truth[places] - outputs).mean()), is_higher_better=False
    )

    assert found[0]["column"] == "planted" and found[0]["drop"] > 0.5


def test_the_same_seed_shuffles_alike() -> None:
    assert measured() == measured()


def test_a_metric_that_cannot_be_told_says_nothing() -> None:
    assert measured(judge=lambda places, outputs: None) == []


def test_fewer_rows_are_looked_at_when_a_network_is_large_and_none_when_few_would_be_left() -> None:
    assert importance.count_rows(100_000, columns=50, parameters=1_000) == importance.MOST_ROWS
    some = importance.count_rows(100_000, columns=1_000, parameters=30_000)
    assert importance.FEWEST_ROWS < some < importance.MOST_ROWS
    assert some * 1_000 * importance.REPEATS * 30_000 <= importance.WORK
    assert importance.count_rows(100_000, columns=1_000, parameters=10_000_000) == 0
    assert importance.count_rows(5, columns=1, parameters=1) == 5
    assert len(measured(rows=50)) == 3


def test_who_is_cancelled_leaves_between_columns() -> None:
    def leave() -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        importance.measure(
            network, matrix(), FEATURES, r2(network(matrix())), rows=50, is_higher_better=True, seed=0, check=leave
        )
