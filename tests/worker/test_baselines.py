"""Baselines answer in the network's form, learn what can be learned, and bound their time."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from shared.errors import JobCancelled
from worker import baselines
from worker.baselines import Task
from worker.training import Table


def table(task: Task, rows: int = 400, *, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 5)).astype(np.float32)
    signal = x @ random.normal(size=(5, 3)) + 0.1 * random.normal(size=(rows, 3))
    y = {
        "binary": signal[:, :1] > 0,
        "one_hot": np.eye(3)[signal.argmax(axis=1)],
        "multi_hot": signal > 0,
        "numbers": signal,
    }[task]
    return Table(x, y.astype(np.float32), None)


def go_on() -> None:
    """Check of a job that nobody stops."""


@pytest.mark.parametrize("task", ["binary", "one_hot", "multi_hot"])
def test_classifiers_answer_probabilities_and_learn(task: Task) -> None:
    train, other = table(task), table(task, seed=0)

    found = baselines.fit(task, train, other.x, seed=1, check=go_on)

    assert list(found) == ["majority_class", "logistic_regression", "gradient_boosted_trees"]
    for name, baseline in found.items():
        assert baseline.outputs.shape == other.y.shape and baseline.note is None
        assert baseline.outputs.min() >= 0 and baseline.outputs.max() <= 1
        right = ((baseline.outputs > 0.5) == (other.y > 0.5)).mean()
        assert right > 0.9 or name == "majority_class"
    if task == "one_hot":
        assert all(np.allclose(baseline.outputs.sum(axis=1), 1) for baseline in found.values())


def test_regressions_answer_numbers_and_learn() -> None:
    train = table("numbers")

    found = baselines.fit("numbers", train, train.x, seed=1, check=go_on)

    assert list(found) == ["mean", "linear_regression", "gradient_boosted_trees"]
    errors = {name: float(((baseline.outputs - train.y) ** 2).mean()) for name, baseline in found.items()}
    np.testing.assert_allclose(found["mean"].outputs[7], train.y.mean(axis=0), rtol=1e-6)
    assert (
        errors["linear_regression"] < 0.02 * errors["mean"] and errors["gradient_boosted_trees"] < 0.2 * errors["mean"]
    )


def test_the_majority_class_is_what_is_said_for_every_row() -> None:
    y = np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 1]]

    found = baselines.fit("one_hot", Table(np.eye(5, dtype=np.float32), y, None), np.eye(5), seed=0, check=go_on)

    np.testing.assert_allclose(found["majority_class"].outputs, np.tile([0.2, 0.6, 0.2], (5, 1)), rtol=1e-6)


def test_unscaled_features_do_not_hinder_the_linear_model() -> None:
    train = table("binary")
    wild = Table(train.x * np.float32(1e4) + np.float32(1e5), train.y, None)

    found = baselines.fit("binary", wild, wild.x, seed=0, check=go_on)

    expected = LogisticRegression(max_iter=1000).fit(train.x, train.y[:, 0])
    said = found["logistic_regression"].outputs[:, 0] > 0.5
    assert (said == (expected.predict_proba(train.x)[:, 1] > 0.5)).mean() > 0.98


def test_weights_move_the_answer() -> None:
    train = table("binary")
    heavy = Table(train.x, train.y, np.where(train.y[:, 0] > 0, 50, 1).astype(np.float32))

    light, moved = (baselines.fit("binary", each, train.x, seed=0, check=go_on) for each in (train, heavy))

    for name in ("logistic_regression", "gradient_boosted_trees"):
        assert moved[name].outputs.mean() > light[name].outputs.mean()


def test_a_class_that_training_has_not_seen_gets_nothing() -> None:
    train = table("one_hot")
    kept = train.y[:, 2] == 0
    seen = Table(train.x[kept], train.y[kept], None)

    found = baselines.fit("one_hot", seen, train.x, seed=0, check=go_on)

    assert found["gradient_boosted_trees"].outputs[:, 2].max() == 0
    np.testing.assert_allclose(found["logistic_regression"].outputs.sum(axis=1), 1)


def test_training_rows_of_one_class_alone_are_answered_with_it() -> None:
    train = Table(np.eye(4, dtype=np.float32), np.ones((4, 1), np.float32), None)

    found = baselines.fit("binary", train, np.eye(4), seed=0, check=go_on)

    assert found["logistic_regression"].outputs.tolist() == [[1.0]] * 4


def test_more_rows_than_the_bound_are_sampled_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_ROWS", 100)

    found = baselines.fit("binary", table("binary"), table("binary").x, seed=0, check=go_on)

    assert found["majority_class"].note is None
    assert found["logistic_regression"].note == found["gradient_boosted_trees"].note == "trained on 100 of 400 rows"


def test_wide_tables_of_many_outputs_get_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_CELLS", 200 * 5 * 3)
    monkeypatch.setattr(baselines, "FEWEST_ROWS", 50)

    found = baselines.fit("one_hot", table("one_hot"), table("one_hot").x, seed=0, check=go_on)

    assert found["logistic_regression"].note == "trained on 200 of 400 rows"


@pytest.mark.parametrize("task", ["one_hot", "numbers"])
def test_the_same_seed_gives_the_same_numbers(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_ROWS", 200)

    first, again = (baselines.fit(task, table(task), table(task).x, seed=3, check=go_on) for _ in range(2))

    assert all(np.array_equal(first[name].outputs, again[name].outputs) for name in first)


def test_a_check_that_raises_stops_between_two_baselines() -> None:
    calls: list[None] = []

    def leave() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        baselines.fit("binary", table("binary"), table("binary").x, seed=0, check=leave)

    assert len(calls) == 2
