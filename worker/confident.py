"""Confident learning: which labels are probably wrong, from probabilities of models that have not learned from the row.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70, 2021. A row is counted against its label where a class that it was not given is as likely as
it usually is for the rows that were given it; so a class of which a model is never sure is not drowned by its
neighbours. Pure functions of arrays: `given` (rows,) is the place of the label of each row, `said` (rows, classes)
probabilities, which are out of fold.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

# Of equal numbers a mean may come out a little above them.
TIE = 1e-9


@dataclass(frozen=True)
class Doubts:
    """What is thought of the label of each row, all (rows,).

    `margin` is the normalised margin, the label's probability less that of the likeliest other class, from -1 to 1.
    `is_suspect`: the row is counted as one of another class.
    """

    self_confidence: np.ndarray
    margin: np.ndarray
    suggested: np.ndarray
    is_suspect: np.ndarray


def thresholds(given: np.ndarray, said: np.ndarray) -> np.ndarray:
    """How likely each class is on average for the rows that were given it (classes,); infinite for one without rows.

    Equation 2 of the paper.
    """
    classes = said.shape[1]
    counts = np.bincount(given, minlength=classes)
    sums = np.bincount(given, weights=said[np.arange(len(given)), given], minlength=classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def true_classes(given: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The class that each row is counted as (rows,): the likeliest of those that reach their threshold; -1 for none.

    Of classes that are equally likely it is the one that was given.
    """
    reaches = said >= thresholds(given, said) - TIE
    likely = np.where(reaches, said, -1.0)
    likely[np.arange(len(given)), given] += TIE
    return np.where(reaches.any(axis=1), likely.argmax(axis=1), -1)


def confident_joint(given: np.ndarray, true: np.ndarray, classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """How many rows that were given one class are counted as another (classes, classes); equation 1.

    Weights (rows,) say how often a row counts.
    """
    counted = true >= 0
    pairs = given[counted] * classes + true[counted]
    chosen = None if weights is None else weights[counted]
    return np.bincount(pairs, weights=chosen, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def estimate_joint(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The share of rows of each pair, given and true (classes, classes), together 1; equation 3.

    Every class counts as often as it was given, `counts` (classes,); one of which no row is counted is as it was given.
    """
    sums = joint.sum(axis=1)
    whole = np.where((sums > 0)[:, None], joint, np.eye(len(counts)))
    spread = whole / whole.sum(axis=1, keepdims=True) * counts[:, None]
    return np.asarray(spread / max(float(counts.sum()), 1.0))


def noise_matrix(estimate: np.ndarray) -> np.ndarray:
    """How likely a row of each true class (column) is given each label (row); a column adds up to 1, or is all 0."""
    true = estimate.sum(axis=0)
    return np.asarray(np.divide(estimate, true, out=np.zeros_like(estimate), where=true > 0))


def error_rate(estimate: np.ndarray) -> float:
    """The share of rows that were given another class than theirs."""
    # Rounding may leave a little less than nothing.
    return max(0.0, float(1.0 - np.trace(estimate)))


def doubt(given: np.ndarray, said: np.ndarray) -> Doubts:
    """What is thought of every row; the suggested class is the one it is counted as, or the likeliest other one."""
    rows = np.arange(len(given))
    confidence, others = said[rows, given], said.copy()
    others[rows, given] = -1.0
    likeliest = others.argmax(axis=1)
    true = true_classes(given, said)
    is_suspect = (true >= 0) & (true != given)
    suggested = np.where(is_suspect, true, likeliest)
    return Doubts(confidence, confidence - said[rows, likeliest], suggested, is_suspect)


def error_rates(given: np.ndarray, said: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The error rate of each resample, from how often each row stands in it (resamples, rows), for its interval.

    The thresholds are those of all rows: what moves is which rows there are, not what the models have learned.
    """
    true, shape = true_classes(given, said), said.shape
    rows = np.arange(len(given))

    def indicate(chosen: np.ndarray) -> csr_array:
        return csr_array((np.ones(int(chosen.sum())), (rows[chosen], given[chosen])), shape=shape)

    every, counted, right = indicate(true > -2), indicate(true >= 0), indicate(true == given)

    def weighted(times: np.ndarray) -> np.ndarray:
        all_, some, same = times @ every, times @ counted, times @ right
        share = np.divide(same, some, out=np.ones_like(some), where=some > 0)
        return np.asarray(1 - (all_ * share).sum(axis=1) / all_.sum(axis=1))

    return weighted
