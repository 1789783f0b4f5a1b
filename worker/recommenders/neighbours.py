"""Learns which items are played by the same listeners: cosines of pairs, of each item the nearest kept."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders.histories import Histories, Weighting
from worker.recommenders.linear import Linear

METHOD = "neighbours"
# Of one who has played more these count: pairs grow with the square, and who hears everything says little.
ITEMS_OF_ONE = 2_000
COLUMNS_AT_ONCE = 512
# What is like nothing that was played stands behind, in the order of how many have played it.
LEAST = 1e-6


def fit(
    given: Histories,
    *,
    neighbours: int,
    shrink: float,
    weighting: Weighting,
    told: Callable[[float], Any] = lambda done: None,
) -> Linear:
    """Learn; `told` takes the share that is done. Two items that few have in common are less alike by `shrink`."""
    places = np.flatnonzero(given.listeners).astype(np.int32)
    plays = capped(given).weighted(weighting).matrix()[:, places].tocsc()
    lengths = np.sqrt(np.asarray(plays.multiply(plays).sum(axis=0)).ravel())
    columns = list(_columns(plays, lengths, neighbours, shrink, told))
    matrix = sparse.csr_matrix(sparse.hstack(columns, format="csr")) if columns else sparse.csr_matrix((0, 0))
    prior = (LEAST * given.listeners[places] / max(1, len(given))).astype(np.float32)
    return Linear(METHOD, given.count, weighting, places, matrix.astype(np.float32), prior=prior)


def capped(given: Histories) -> Histories:
    """Of the longest histories what was played most."""
    if not len(given) or given.lengths.max() <= ITEMS_OF_ONE:
        return given
    order = np.lexsort((given.items, -given.weights, given.users))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(given.indptr[:-1], given.lengths)
    return replace(given.only(rank < ITEMS_OF_ONE))


def _columns(
    plays: sparse.csc_matrix, lengths: np.ndarray, neighbours: int, shrink: float, told: Callable[[float], Any]
) -> Iterator[sparse.csc_matrix]:
    rows = plays.T.tocsr()
    for start in range(0, plays.shape[1], COLUMNS_AT_ONCE):
        end = min(plays.shape[1], start + COLUMNS_AT_ONCE)
        common = (rows @ plays[:, start:end]).tocsc()
        owners = np.repeat(np.arange(start, end), np.diff(common.indptr))
        common.data = common.data / (lengths[common.indices] * lengths[owners] + shrink)
        common.data[common.indices == owners] = 0
        yield _nearest(common, neighbours)
        told(end / plays.shape[1])


def _nearest(columns: sparse.csc_matrix, neighbours: int) -> sparse.csc_matrix:
    """Of each column the largest entries."""
    owners = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
    order = np.lexsort((columns.indices, -columns.data, owners))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(columns.indptr[:-1], np.diff(columns.indptr))
    kept = (rank < neighbours) & (columns.data > 0)
    places = columns.indices[kept], owners[kept]
    return sparse.csc_matrix((columns.data[kept], places), shape=columns.shape)
