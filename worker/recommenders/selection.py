"""The largest of many scores, row by row, without sorting what is not among them."""

import numpy as np

# Of so many the largest is looked for first: the k-th largest of these is a bound that the k largest of all reach.
GROUP = 32
NOTHING = -1
# The lower half of a key is a place.
HALF, PLACE, MAGNITUDE = 32, np.int64(2**32 - 1), np.int32(2**31 - 1)
NO_KEY = np.int64(2**63 - 1)
# Of what is equal to six digits, as a list is ordered, nothing is further apart.
ROUNDING = np.float32(1.1e-5)


def largest(scores: np.ndarray, k: int, slack: np.ndarray | None = None) -> np.ndarray:
    """The places of the k largest finite scores of each row, int64 (rows, k), in no order; -1 where there are fewer.

    Of equal ones at the edge the first are taken. With `slack` (rows,) there may be more columns: all are taken that
    are no further than that below the edge, or equal to it to five digits.
    """
    rows, count = scores.shape
    k = min(k, count)
    # Those of all rows at once, for a loop over rows would take as long as all else.
    near = np.flatnonzero(scores >= _below(_bounds(scores, k), slack)[:, None])
    lengths = np.diff(np.searchsorted(near, np.arange(rows + 1) * count))
    row = np.repeat(np.arange(rows), lengths)
    column = np.arange(len(near)) - (np.cumsum(lengths) - lengths)[row]
    found = np.full((rows, max(k, int(lengths.max(initial=0)))), NO_KEY)
    found[row, column] = keys(scores.reshape(-1)[near], near - row * count)
    if k < found.shape[1]:
        found = np.partition(found, max(0, k - 1), axis=1)
        found = found[:, :k] if slack is None else _near(found, k, slack)
    return np.where(found == NO_KEY, NOTHING, places(found))


def _below(edges: np.ndarray, slack: np.ndarray | None) -> np.ndarray:
    """What counts as being at the edge."""
    if slack is None:
        return edges
    with np.errstate(over="ignore"):
        # What is not finite stands nowhere.
        return np.maximum(edges - slack - ROUNDING * np.abs(edges), np.finfo(np.float32).min)


def _near(found: np.ndarray, k: int, slack: np.ndarray) -> np.ndarray:
    """Of keys, of which the k smallest of each row stand first, those at the edge as well."""
    edges = np.where(found[:, k - 1] == NO_KEY, np.float32(-np.inf), values(found[:, k - 1]))
    with np.errstate(invalid="ignore"):
        is_near = values(found) >= _below(edges, slack)[:, None]
    kept = np.where(is_near | (np.arange(found.shape[1]) < k), found, NO_KEY)
    kept.sort(axis=1)
    width = max(k, int(np.count_nonzero(kept != NO_KEY, axis=1).max(initial=0)))
    return kept[:, :width]


def keys(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Of float32 values at places int64 numbers that rise as the values fall, and of equal ones as the places rise.

    Numbers are sorted in a fifth of the time that it takes to find an order of values.
    """
    # The bits of a float rise as it does; those of a negative one but for its sign fall. Of -0 this makes 0.
    bits = (np.float32(0) - values).view(np.int32)
    found: np.ndarray = (bits ^ ((bits >> 31) & MAGNITUDE)).astype(np.int64) << HALF | at
    return found


def places(found: np.ndarray) -> np.ndarray:
    """Of keys."""
    at: np.ndarray = found & PLACE
    return at


def values(found: np.ndarray) -> np.ndarray:
    """Of keys, float32."""
    bits = (found >> HALF).astype(np.int32)
    negated: np.ndarray = (bits ^ ((bits >> 31) & MAGNITUDE)).view(np.float32)
    return np.float32(0) - negated


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
