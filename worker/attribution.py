"""What each input adds to a network's answer: integrated gradients along the straight path from a baseline.

Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017. The integral is a midpoint sum; what the
parts miss of the whole is told with every answer, and more points are taken while it is too much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from worker.slopes import Backward

# Doubled until the parts miss less than ENOUGH of the whole, in units of what is explained.
FIRST_STEPS, MOST_STEPS, ENOUGH = 64, 4096, 0.005
# Points of paths that are judged together: as many rows as stay in the cache (worker/forward.py).
POINTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Readout:
    """A number that a row's answer holds: the sum of weights * outputs, and an offset; `names` says what it is of.

    `unit` is what counts as much: 1 of a probability, a standard deviation of a number.
    """

    names: Sequence[str]  # (rows,)
    weights: np.ndarray  # (rows, outputs) float32
    offsets: np.ndarray  # (rows,)
    unit: float = 1.0

    def of(self, outputs: np.ndarray) -> np.ndarray:
        """The number itself, (rows,) float64, of outputs (rows, outputs) or of one for all rows."""
        return np.asarray((self.weights.astype(np.float64) * outputs).sum(axis=1) + self.offsets)


@dataclass(frozen=True)
class Attributions:
    """What every input adds between the baseline's answer and the row's."""

    added: np.ndarray  # (rows, inputs) float64
    before: np.ndarray  # (rows,), the baseline's
    after: np.ndarray
    errors: np.ndarray  # |sum of what is added - (after - before)|
    steps: np.ndarray


def attribute(
    network: Callable[[np.ndarray], np.ndarray],
    backward: Backward,
    x: np.ndarray,
    baseline: np.ndarray,
    readout: Readout,
) -> Attributions:
    """Explain one readout of each row of `x` (rows, inputs); `baseline` is (inputs,)."""
    before, after = readout.of(network(baseline[None])), readout.of(network(x))
    added = np.zeros(x.shape, np.float64)
    steps, errors = np.zeros(len(x), np.int64), np.full(len(x), np.inf)
    pending, points = np.arange(len(x)), FIRST_STEPS
    with np.errstate(all="ignore"):
        while len(pending) and points <= MOST_STEPS:
            added[pending] = integrate(backward, x[pending], baseline, readout.weights[pending], points)
            errors[pending] = np.abs(added[pending].sum(axis=1) - (after - before)[pending])
            steps[pending] = points
            # What is no number is told as such, and more points would not make it one.
            pending = pending[errors[pending] > ENOUGH * readout.unit]
            points *= 2
    return Attributions(added, before, after, errors, steps)


def integrate(backward: Backward, x: np.ndarray, baseline: np.ndarray, wanted: np.ndarray, steps: int) -> np.ndarray:
    """The mean slope at the midpoints of the path times its length, (rows, inputs) float64."""
    moved = x - baseline
    start, span = backward.enter(baseline[None]), backward.span(moved)
    slopes = np.zeros(span.shape, np.float64)
    rows = max(1, len(x))
    at_once = max(1, POINTS_AT_ONCE // rows)
    for first in range(0, steps, at_once):
        shares = ((np.arange(first, min(first + at_once, steps)) + 0.5) / steps).astype(np.float32)
        path = (start + shares[:, None, None] * span).reshape(-1, span.shape[1])
        pulled = backward.pull(path, np.tile(wanted, (len(shares), 1)))
        slopes += pulled.reshape(len(shares), *span.shape).sum(axis=0)
    return np.asarray(backward.leave(slopes / steps) * moved)
