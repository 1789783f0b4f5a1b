"""The largest of many scores, row by row, without sorting what is not among them."""

import numpy as np

# Of so many the largest is looked for first: the k-th largest of these is a bound that the k largest of all reach.
GROUP = 16
NOTHING = -1


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """The places of the k largest finite scores of each row, int64 (rows, k), rising; behind them -1.

    Of equal ones at the edge the first are taken.
    """
    rows, count = scores.shape
    k = min(k, count)
    # Those of all rows at once, for a loop over rows would take as long as all else.
    near = np.flatnonzero(scores >= _bounds(scores, k)[:, None])
    ends = np.searchsorted(near, np.arange(1, rows + 1) * count)
    row, column = _numbered(np.diff(ends, prepend=0))
    values = np.full((rows, max(k, int(column.max(initial=-1)) + 1)), -np.inf, np.float32)
    values[row, column] = scores.reshape(-1)[near]
    kept = _first(values, k)[row, column]
    row, place = row[kept], (near - row * count)[kept]
    found = np.full((rows, k), NOTHING, np.int64)
    found[_numbered(np.bincount(row, minlength=rows))] = place
    return found


def _numbered(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row of each of so many in each row, and which of its row's it is."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - (np.cumsum(counts) - counts)[row]


def _bounds(scores: np.ndarray, k: int) -> np.ndarray:
    """A score of each row that k others at least reach; the least finite one where that is not known."""
    rows, count = scores.shape
    least, groups = np.finfo(np.float32).min, count // GROUP
    if groups < max(1, k):
        return np.full(rows, least, np.float32)
    # Each group takes every so manieth score: so whole runs are compared at once.
    best = scores[:, : groups * GROUP].reshape(rows, GROUP, groups).max(axis=1)
    bounds: np.ndarray = np.maximum(np.partition(best, groups - k, axis=1)[:, groups - k], least)
    return bounds


def _first(values: np.ndarray, k: int) -> np.ndarray:
    """Which are the k largest of each row, bool; of equal ones at the edge the first."""
    width = values.shape[1]
    if not 0 < k < width:
        return np.ones(values.shape, bool)
    edge = np.partition(values, width - k, axis=1)[:, width - k, None]
    above, equal = values > edge, values == edge
    room = k - np.count_nonzero(above, axis=1)
    kept: np.ndarray = above | (equal & (np.cumsum(equal, axis=1) <= room[:, None]))
    return kept
