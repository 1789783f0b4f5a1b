"""How sure a model is, brought nearer to how often it is right; and from where on what it says is good enough.

Pure functions of held-out rows. What is chosen by some rows is judged by others: `halves` says by which.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

# Of fewer rows a temperature, a threshold or a confidence says more of chance than of the model.
FEWEST_ROWS = 30
# An overfitted network wants 2 to 5. Where all rows are right a likelihood has no end, and would have none below.
COOLEST, HOTTEST = 0.1, 20.0
# Keras's epsilon: float32 outputs reach 0 and 1, whose logits are infinite.
LEAST_PROBABILITY = 1e-7
THRESHOLD = 0.5

Chosen = Callable[[np.ndarray], np.ndarray]


def scaled(outputs: np.ndarray, temperatures: Sequence[float], *, is_softmax: bool) -> np.ndarray:
    """Probabilities (rows, outputs) whose logits are divided by a temperature (Guo et al., ICML 2017, section 4.2).

    One temperature for all outputs or one for each; those of a softmax are of one sum, and share one.
    """
    if all(each == 1.0 for each in temperatures):
        return outputs
    clipped = np.clip(outputs.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if is_softmax:
        return softmax(np.log(clipped) / temperatures[0], axis=1).astype(outputs.dtype)
    return expit(logit(clipped) / np.array(temperatures)).astype(outputs.dtype)


def fit(truth: np.ndarray, outputs: np.ndarray, *, is_softmax: bool) -> tuple[float, ...]:
    """The temperatures with the least log loss on these rows; `truth` is 0 and 1, both (rows, outputs).

    1 for what all rows are, or none: they say nothing of doubt.
    """
    clipped = np.clip(outputs.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if is_softmax:
        classes, logits = truth.argmax(axis=1), np.log(clipped)
        rows = np.arange(len(classes))
        if len(np.unique(classes)) < 2:
            return (1.0,)
        return (_least(lambda t: -log_softmax(logits / t, axis=1)[rows, classes].mean()),)
    return tuple(_of_label(column > 0, logit(said)) for column, said in zip(truth.T, clipped.T, strict=True))


def _of_label(truth: np.ndarray, logits: np.ndarray) -> float:
    if truth.all() or not truth.any():
        return 1.0
    signed = np.where(truth, logits, -logits)
    return _least(lambda t: np.logaddexp(0, -signed / t).mean())


def _least(loss: Callable[[float], float]) -> float:
    """The loss has one minimum, as it is convex in 1 / temperature; 1 where no temperature is better."""
    found = minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=np.log((COOLEST, HOTTEST)), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(1.0) else 1.0


def halves(units: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Which rows are the first half (rows,), whole units on one side; None of too few rows, or of one unit."""
    known, places, counts = np.unique(units, return_inverse=True, return_counts=True)
    if len(units) < FEWEST_ROWS or len(known) < 2:
        return None
    order = np.random.default_rng(seed).permutation(len(known))
    # The largest first, each to the side that has less.
    order = order[np.argsort(-counts[order], kind="stable")]
    is_first, sizes = np.zeros(len(known), bool), [0, 0]
    for unit in order.tolist():
        side = int(sizes[1] < sizes[0])
        is_first[unit] = side == 0
        sizes[side] += int(counts[unit])
    return is_first[places]


def crossed(half: np.ndarray, values: np.ndarray, choose: Callable[[np.ndarray], Chosen]) -> np.ndarray:
    """What each half becomes by what the other half has chosen; `choose` takes the rows to choose by, as a mask."""
    whole = [(side, choose(~side)(values[side])) for side in (half, ~half)]
    made = np.empty((len(values), *whole[0][1].shape[1:]), whole[0][1].dtype)
    for side, part in whole:
        made[side] = part
    return made


def best_threshold(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """From where on a label is said so that F1 is highest; the middle between two rows, near one half of equals."""
    if not truth.any():
        return THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order].astype(np.float64), np.cumsum(truth[order])
    # Rows of one probability are said together.
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    f1 = 2 * hits[last] / (last + 1 + truth.sum())
    cuts = (ranked[last] + np.append(ranked[last[:-1] + 1], 0.0)) / 2
    best = cuts[f1 >= f1.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - THRESHOLD))])


def least_confidence(confidence: np.ndarray, is_right: np.ndarray, wanted: float) -> float | None:
    """The smallest confidence from which on this share of the rows is right; None where none is."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    reached = np.flatnonzero(np.cumsum(is_right[order])[last] / (last + 1) >= wanted)
    return float(ranked[last[reached[-1]]]) if len(reached) else None
