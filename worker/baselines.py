"""What simpler models make of the very same rows and features, so that a user sees whether the network helps.

Outputs have the network's form, so that the same metrics judge them. The time is bounded, whatever the number of rows.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

if TYPE_CHECKING:
    from worker.training import Table

# What the outputs mean: one probability, one a class, one a label, or numbers to be met.
Task = Literal["binary", "one_hot", "multi_hot", "numbers"]

MOST_ROWS = 50_000
# Rows times columns times outputs: some 30 s on one core at the most (measured: 8,333 x 300 x 40).
MOST_CELLS = 100_000_000
FEWEST_ROWS = 1_000
# Trees of this size were within noise of the networks on ten genres; with many classes there are fewer rounds of them.
ROUNDS, LEAVES, MOST_TREES, FEWEST_ROUNDS = 60, 15, 600, 10
ITERATIONS = 200
# Measured: OpenMP's threads spin while they wait for one another, and beside a second job never end.
THREADS = 1


@dataclass(frozen=True)
class Baseline:
    """Outputs for the rows asked (rows, outputs), and what a reader should know of them."""

    outputs: np.ndarray
    note: str | None = None


def fit(task: Task, train: "Table", x: np.ndarray, *, seed: int, check: Callable[[], None]) -> dict[str, Baseline]:
    """Fit on the training rows, answer for `x`; `check` is called before each fit and may raise to stop."""
    simplest = "mean" if task == "numbers" else "majority_class"
    found = {simplest: Baseline(np.tile(train.y.mean(axis=0), (len(x), 1)))}
    sampled, note = _sampled(train, seed)
    mean, scale = sampled.x.mean(axis=0), sampled.x.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    # Without equal scales the linear models would need thousands of steps.
    sampled, x = replace(sampled, x=(sampled.x - mean) / scale), (x - mean) / scale
    answer = {"numbers": _numbers, "one_hot": _classes}.get(task, _flags)
    with threadpool_limits(THREADS), warnings.catch_warnings():
        # What has not converged by now is still a fair thing to compare with.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, model in _models(task, outputs=train.y.shape[1], seed=seed).items():
            check()
            found[name] = Baseline(answer(model, sampled, x), note)
    return found


def _models(task: Task, *, outputs: int, seed: int) -> dict[str, Any]:
    rounds = max(FEWEST_ROUNDS, min(ROUNDS, MOST_TREES // outputs))
    size = {"max_iter": rounds, "max_leaf_nodes": LEAVES, "early_stopping": False, "random_state": seed}
    if task == "numbers":
        return {"linear_regression": Ridge(), "gradient_boosted_trees": HistGradientBoostingRegressor(**size)}
    return {
        "logistic_regression": LogisticRegression(max_iter=ITERATIONS),
        "gradient_boosted_trees": HistGradientBoostingClassifier(**size),
    }


def _sampled(train: "Table", seed: int) -> tuple["Table", str | None]:
    """The training rows, or a seeded choice of them with a note that says so."""
    rows, width = train.x.shape
    most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // (width * train.y.shape[1])))
    if rows <= most:
        return train, None
    chosen = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    weight = None if train.weight is None else train.weight[chosen]
    return replace(train, x=train.x[chosen], y=train.y[chosen], weight=weight), f"trained on {most} of {rows} rows"


def _numbers(model: Any, train: "Table", x: np.ndarray) -> np.ndarray:
    answers = [clone(model).fit(train.x, column, sample_weight=train.weight).predict(x) for column in train.y.T]
    return np.stack(answers, axis=1)


def _flags(model: Any, train: "Table", x: np.ndarray) -> np.ndarray:
    """A model for each output, which is 0 or 1."""
    answers = [_shares(clone(model), train, column.astype(np.int64), 2, x)[:, 1] for column in train.y.T]
    return np.stack(answers, axis=1)


def _classes(model: Any, train: "Table", x: np.ndarray) -> np.ndarray:
    return _shares(model, train, train.y.argmax(axis=1), train.y.shape[1], x)


def _shares(model: Any, train: "Table", classes: np.ndarray, labels: int, x: np.ndarray) -> np.ndarray:
    """A probability for each class (rows, labels); 0 for those that training has not seen."""
    seen = np.unique(classes)
    shares = np.zeros((len(x), labels))
    shares[:, seen] = 1.0
    if len(seen) > 1:
        shares[:, seen] = model.fit(train.x, classes, sample_weight=train.weight).predict_proba(x)
    return shares
