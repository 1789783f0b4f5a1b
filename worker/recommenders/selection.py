"""The largest of many scores, row by row, without sorting what is not among them."""

import numpy as np

# Of so many the largest is looked for first: the k-th largest of these is a bound that the k largest of all reach.
GROUP = 64
NOTHING = -1


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """The places of the k largest finite scores of each row, int64 (rows, k), in no order; -1 where there are fewer.

    Of equal ones at the edge the first are taken.
    """
    rows, count = scores.shape
    k = min(k, count)
    found = np.full((rows, k), NOTHING, np.int64)
    bounds = _bounds(scores, k)
    for row in range(rows):
        near = np.flatnonzero(scores[row] >= bounds[row]) if np.isfinite(bounds[row]) else _finite(scores[row])
        if len(near) > k:
            near = _first(near, scores[row, near], k)
        found[row, : len(near)] = near
    return found


def _bounds(scores: np.ndarray, k: int) -> np.ndarray:
    """A score of each row that k others at least reach; -inf where that is not known."""
    rows, count = scores.shape
    groups = count // GROUP
    if groups < k:
        return np.full(rows, -np.inf, np.float32)
    # Each group takes every so manieth score: so whole runs are compared at once.
    best = scores[:, : groups * GROUP].reshape(rows, GROUP, groups).max(axis=1)
    bounds: np.ndarray = np.partition(best, groups - k, axis=1)[:, groups - k]
    return bounds


def _finite(scores: np.ndarray) -> np.ndarray:
    return np.flatnonzero(scores > -np.inf)


def _first(places: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Of rising places those with the k largest scores."""
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = places[scores > least]
    return np.concatenate([above, places[scores == least][: k - len(above)]])
