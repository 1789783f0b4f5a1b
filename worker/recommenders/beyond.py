"""What ranked lists are like beyond their hits: whom and what they show, and how alike.

In all of them `lists` is int32 (users, places): items, each once, -1 where there is none further. A figure that has
nothing to be of is None.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders import accuracy
from worker.recommenders.histories import Histories

DECILES = 10
LARGEST = 10
# So much of a listener's own taste is mixed into a list's, so that a genre that it lacks costs much, but not all.
ALPHA = 0.01
# Users whose lists are sums of vectors or genres at once.
USERS_AT_ONCE = 8192

Json = dict[str, Any]  # Any: JSON


def coverage(lists: np.ndarray, items: int) -> float | None:
    """The share of the catalogue that is in any list (Ge, Delgado-Battenfeld and Jannach 2010)."""
    return float(np.count_nonzero(_times(lists, items)) / items) if items else None


def gini(lists: np.ndarray, items: int) -> float | None:
    """How unequally items are recommended: 0 all as often, 1 always the same one (Shani and Gunawardana 2011)."""
    times = np.sort(_times(lists, items)).astype(np.float64)
    if times.sum() == 0:
        return None
    places = np.arange(1, items + 1)
    # A catalogue of one item is recommended as equally as it can be.
    return float(((2 * places - items - 1) * times).sum() / times.sum() / max(items - 1, 1))


def novelty(lists: np.ndarray, listeners: np.ndarray, users: int) -> float | None:
    """The mean over lists of their mean self-information, log2(users / listeners) in bits (Zhou et al. 2010).

    `listeners` (items,) are how many of the `users` have played each. An item without any counts as if one had.
    """
    bits = np.log2(max(users, 1) / np.maximum(listeners, 1))
    shown = _matrix(lists, len(listeners))
    lengths = np.diff(shown.indptr)
    return _mean((shown @ bits)[lengths > 0] / lengths[lengths > 0])


def popularity(lists: np.ndarray, listeners: np.ndarray) -> Json:
    """The share of each decile of items, the most played first, of what is recommended and of what was played.

    {"recommended": 10 shares, "played": 10 shares}, None without any. What was played are pairs of listener and item.
    After Abdollahpouri, Mansoury, Burke and Mobasher 2019, "The Unfairness of Popularity Bias in Recommendation".
    """
    items = len(listeners)
    decile = np.empty(items, np.int64)
    decile[np.argsort(-listeners, kind="stable")] = np.arange(items) * DECILES // max(items, 1)
    return {
        "recommended": _parts(np.bincount(decile, _times(lists, items), minlength=DECILES)),
        "played": _parts(np.bincount(decile, listeners, minlength=DECILES)),
    }


def diversity(lists: np.ndarray, vectors: np.ndarray) -> float | None:
    """The mean over lists of 1 - cosine of all pairs in a list (Smyth and McClave 2001; Ziegler et al. 2005).

    `vectors` float32 (items, size); items whose vector is zeros are unknown and left out, and so are lists in which
    fewer than two are known.
    """
    # In double precision: lengths of sums are compared with sums of lengths.
    long = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units = np.divide(vectors, long, out=np.zeros(vectors.shape), where=long > 0)
    apart = []
    for _, here in _blocks(lists):
        shown = _matrix(here, len(vectors))
        known = shown @ (long[:, 0] > 0).astype(np.float64)
        # |sum of units|² has each pair's cosine twice and each unit's own 1 once.
        cosines = np.square(shown @ units).sum(axis=1) - known
        many = known > 1
        apart.append(1 - cosines[many] / (known[many] * (known[many] - 1)))
    # Vectors that are all the same are less than 0 apart by rounding.
    return _mean(np.maximum(np.concatenate(apart), 0))


def calibration(lists: np.ndarray, histories: Histories, labels: sparse.csr_matrix) -> float | None:
    """How far lists are from their listeners' genres: mean KL divergence in nats, 0 is best (Steck 2018, eq. 2 to 6).

    `labels` (items, genres), at or above 0: an item's genres share it by their numbers; one without is left out, and
    so is a listener who has played none with a genre, or whose list has none.
    """
    genres = _rows_of_one(sparse.csr_matrix(labels, dtype=np.float64))
    away = []
    for first, here in _blocks(lists):
        played = histories.within(first, first + len(here)).matrix().astype(np.float64)
        tastes, shown = _rows_of_one(played @ genres), _rows_of_one(_matrix(here, histories.count) @ genres)
        judged = (np.diff(tastes.indptr) > 0) & (np.diff(shown.indptr) > 0)
        away.append(_divergences(tastes, shown)[judged])
    return _mean(np.concatenate(away))


def _divergences(tastes: sparse.csr_matrix, shown: sparse.csr_matrix) -> np.ndarray:
    """KL divergence (users,) of what is shown, with ALPHA of the taste in it, from the taste."""
    is_shared = tastes.sign().multiply(shown.sign())
    taste, show = (sparse.csr_matrix(each.multiply(is_shared)).sorted_indices() for each in (tastes, shown))
    nats = taste.copy()
    nats.data = taste.data * np.log(taste.data / ((1 - ALPHA) * show.data + ALPHA * taste.data))
    # Of a genre that is not shown only ALPHA of the taste is left, and the logarithm is the same for all.
    lacking = 1 - np.asarray(taste.sum(axis=1)).ravel()
    # A list just like the taste is less than 0 away by rounding.
    return np.maximum(np.asarray(nats.sum(axis=1)).ravel() - np.log(ALPHA) * lacking, 0)


def shares(lists: np.ndarray, owners: np.ndarray, names: Sequence[str]) -> Json:
    """Whose items are recommended: artists or labels, by their share of all places that an owner is known of.

    `owners` (items,) are places in `names`, -1 unknown. {"largest": [[name, share], …] at most ten, "half": how few
    owners have half of the places between them, "owners": how many have any, "unknown": the share without an owner}.
    """
    times = _times(lists, len(owners))
    known = owners >= 0
    totals = np.bincount(owners[known], times[known], minlength=len(names)).astype(np.int64)
    whole, every = int(totals.sum()), int(times.sum())
    order = np.argsort(-totals, kind="stable")
    order = order[totals[order] > 0]
    return {
        "largest": [[names[owner], int(totals[owner]) / whole] for owner in order[:LARGEST]],
        "half": int(np.searchsorted(2 * np.cumsum(totals[order]), whole)) + 1 if whole else None,
        "owners": len(order),
        "unknown": (every - whole) / every if every else None,
    }


def cold_recall(lists: np.ndarray, relevant: Histories, cold: np.ndarray, k: int) -> float | None:
    """Recall at k of the cold items alone, bool (items,), over the users who went on to play any of them."""
    recalls = accuracy.per_user(lists, relevant.only(cold[relevant.items]), (k,))[f"recall@{k}"]
    return _mean(recalls[~np.isnan(recalls)])


def _times(lists: np.ndarray, items: int) -> np.ndarray:
    """How often each item is recommended, int64 (items,)."""
    return np.bincount(lists[lists >= 0], minlength=items)


def _matrix(lists: np.ndarray, items: int) -> sparse.csr_matrix:
    """1 where a user (row) is shown an item (column), float64."""
    is_there = lists >= 0
    indptr = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))])
    chosen = lists[is_there]
    return sparse.csr_matrix((np.ones(len(chosen)), chosen, indptr), shape=(len(lists), items))


def _rows_of_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each row divided by its sum; rows of nothing stay."""
    made = matrix.copy()
    made.eliminate_zeros()
    made.data = made.data / np.repeat(np.asarray(made.sum(axis=1)).ravel(), np.diff(made.indptr))
    return made


def _blocks(lists: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The first user of each block and the block's lists; one block where there are no users."""
    firsts = range(0, max(len(lists), 1), USERS_AT_ONCE)
    return [(first, lists[first : first + USERS_AT_ONCE]) for first in firsts]


def _parts(amounts: np.ndarray) -> list[float] | None:
    return (amounts / amounts.sum()).tolist() if amounts.sum() else None


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
