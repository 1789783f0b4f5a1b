"""What items are like, apart from who plays them: labels and recordings, so that new ones have a place."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders import selection
from worker.recommenders.catalogue import Catalogue

# A column of which nearly every item has a label of its own, a title perhaps, says nothing of others.
DISTINCT_SHARE = 0.5
# These say how much an item was played: what is to be foretold.
PLAYS = ("popularity", "plays", "playcount", "play_count", "listeners", "streams", "rank", "count")
NEIGHBOURS = 20
# Products of so many cold and warm items at once take some hundred megabytes.
ROWS_AT_ONCE, CELLS_AT_ONCE = 4096, 2_000_000
# Where a row meets one in so many of the known, all are multiplied; and a feature that one in so many has, with all.
DENSE, FULL = 4, 20
# Nearness is told in such steps: what rounding makes of the same one is the same. Below them in a key stand places.
STEPS, PLACE_BITS = 2**20, 31
LAST_PLACE = 2**PLACE_BITS - 1
# A mean of what is like an item has less spread than what was learned of it; and nearness below that is chance.
LEAST = 0.05


def describe(catalogue: Catalogue, heard: np.ndarray | None = None) -> sparse.csr_matrix | None:
    """Rows of length 1 or 0, sparse float32 (items, features); None where nothing tells.

    Labels count by how rare they are; `heard` are embeddings of recordings (items, size), zeros where there is none.
    """
    blocks = [block for name in catalogue.names if (block := _block(catalogue, name)) is not None]
    if heard is not None and heard.any():
        is_heard = np.any(heard, axis=1)
        centred = np.where(is_heard[:, None], heard - heard[is_heard].mean(axis=0), 0)
        blocks.append(unit(sparse.csr_matrix(centred.astype(np.float32))))
    if not blocks:
        return None
    return unit(sparse.hstack(blocks, format="csr", dtype=np.float32))


def _block(catalogue: Catalogue, name: str) -> sparse.csr_matrix | None:
    """A column's labels, each by its inverse document frequency; None of a column that says nothing of others."""
    if name.lower() in PLAYS or catalogue.is_number(name):
        return None
    labels = catalogue.labels(name)
    counts = np.asarray(labels.matrix.sum(axis=0)).ravel()
    filled = np.count_nonzero(np.diff(labels.matrix.indptr))
    if filled == 0 or np.count_nonzero(counts) <= 1 or len(labels.words) > DISTINCT_SHARE * max(2, counts.sum()):
        return None
    rarity = np.log((1 + filled) / (1 + counts)) + 1
    return unit(sparse.csr_matrix(labels.matrix @ sparse.diags(rarity.astype(np.float32))))


def unit(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Rows of length 1; those of zeros stay."""
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ rows, dtype=np.float32)


def shares(
    features: sparse.csr_matrix,
    cold: np.ndarray,
    warm: np.ndarray,
    told: Callable[[float], Any] = lambda done: None,
) -> sparse.csr_matrix:
    """How much of each warm item is in each cold one: its nearest, by nearness; sparse (cold, warm), rows sum to 1.

    Rows of cold items that are like none are empty. Of equally near ones the first are taken. `told` takes how much is
    done, and may raise.
    """
    known = features[warm]
    near, dense = _Sparse(known), _Dense(known)
    rows = features[cold]
    reached = near.reached(rows)
    # Those with the most products first, so that those of a block have about as many.
    order = np.argsort(-reached, kind="stable")
    best = np.zeros((len(cold), NEIGHBOURS), np.int64)
    start = 0
    while start < len(order):
        most = max(1, int(reached[order[start]]))
        is_dense = most * DENSE > len(warm)
        size = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // (len(warm) if is_dense else most)))
        block = order[start : start + size]
        found = (dense if is_dense else near).keys(rows[block])
        if found.shape[1] > NEIGHBOURS:
            found.partition(found.shape[1] - NEIGHBOURS, axis=1)
        best[block, : found.shape[1]] = found[:, -NEIGHBOURS:]
        start += size
        told(min(1.0, start / len(order)))
    return _shared(best, len(warm))


class _Sparse:
    """Products of rows that have few features in common with others."""

    def __init__(self, known: sparse.csr_matrix) -> None:
        self._known = known.T.tocsr()
        self._having = np.diff(self._known.indptr).astype(np.float64)

    def reached(self, rows: sparse.csr_matrix) -> np.ndarray:
        """At most so many known ones have something in common with each row, int64 (rows,)."""
        pattern = sparse.csr_matrix((np.ones(len(rows.indices)), rows.indices, rows.indptr), shape=rows.shape)
        return np.minimum(pattern @ self._having, self._known.shape[1]).astype(np.int64)

    def keys(self, rows: sparse.csr_matrix) -> np.ndarray:
        """See `_keys`; a row as long as the longest, 0 at its end."""
        found = rows @ self._known
        lengths = np.diff(found.indptr)
        row = np.repeat(np.arange(len(lengths)), lengths)
        column = np.arange(len(row)) - found.indptr[:-1].astype(np.int64)[row]
        keys = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
        keys[row, column] = _keys(found.data, found.indices)
        return keys


class _Dense:
    """Products of rows that have something in common with nearly all, such as recordings."""

    def __init__(self, known: sparse.csr_matrix) -> None:
        filled = np.bincount(known.indices, minlength=known.shape[1])
        self._is_full = filled * FULL > known.shape[0]
        self._known = known

    @cached_property
    def _parts(self) -> tuple[np.ndarray, sparse.csr_matrix]:
        full, rest = self._known[:, self._is_full], self._known[:, ~self._is_full]
        return np.ascontiguousarray(full.toarray().T), rest.T.tocsr()

    def keys(self, rows: sparse.csr_matrix) -> np.ndarray:
        """See `_keys`; of the nearest alone."""
        full, rest = self._parts
        near = rows[:, self._is_full].toarray() @ full
        near += (rows[:, ~self._is_full] @ rest).toarray()
        near *= np.float32(STEPS)
        steps = np.rint(near, out=near)
        chosen = np.maximum(selection.largest(steps, NEIGHBOURS), 0)
        keys = _keys(np.take_along_axis(steps, chosen, axis=1) / np.float32(STEPS), chosen)
        return np.sort(keys, axis=1)


def _keys(near: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Nearness and place as one number: the nearer, and of equally near ones the first, has the larger. int64."""
    steps = np.rint(np.maximum(near, 0) * np.float32(STEPS)).astype(np.int64)
    return (steps << PLACE_BITS) | (LAST_PLACE - places)


def _shared(keys: np.ndarray, width: int) -> sparse.csr_matrix:
    """What the nearest of each row have of it."""
    near, places = (keys >> PLACE_BITS) / STEPS, LAST_PLACE - (keys & LAST_PLACE)
    rows, columns = np.nonzero(near > LEAST)
    # Squared, so that what is nearest counts.
    weights = near[rows, columns] ** 2
    weights /= np.bincount(rows, weights, minlength=len(keys))[rows]
    found = sparse.csr_matrix(
        (weights.astype(np.float32), (rows, places[rows, columns])), shape=(len(keys), width), dtype=np.float32
    )
    found.sort_indices()
    return found
