"""Gives items a place of which no plays are known: they stand where what is like them stands."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders import content
from worker.recommenders.factors import Factors
from worker.recommenders.linear import Linear
from worker.recommenders.low_rank import LowRank
from worker.recommenders.popularity import Popular
from worker.recommenders.recommender import Recommender
from worker.recommenders.towers import Towers


@dataclass(frozen=True)
class Places:
    """Where new items stand for a model that knows others: how much of each `warm` is in each `cold`."""

    known: np.ndarray  # bool (items,)
    cold: np.ndarray  # int32, places of new items that are like some
    warm: np.ndarray  # places of known items with content
    shares: sparse.csr_matrix  # float32 (cold, warm)


def find(
    known: np.ndarray, features: sparse.csr_matrix | None, told: Callable[[float], Any] = lambda done: None
) -> Places:
    """The places of items that are not among the known; `told` takes how much is done, and may raise."""
    has_content = np.zeros(len(known), bool) if features is None else np.diff(features.indptr) > 0
    cold, warm = np.flatnonzero(~known & has_content), np.flatnonzero(known & has_content)
    if features is None or not len(cold) or not len(warm):
        return Places(known, np.zeros(0, np.int32), warm, sparse.csr_matrix((0, len(warm)), dtype=np.float32))
    shares = content.shares(features, cold, warm, told)
    is_like = np.diff(shares.indptr) > 0
    return Places(known, cold[is_like].astype(np.int32), warm, shares[is_like])


def extend(
    model: Recommender,
    features: sparse.csr_matrix | None,
    shares: Places | None = None,
    told: Callable[[float], Any] = lambda done: None,
) -> Recommender:
    """The model with a score for each item that is like some that it knows; the others stay unknown.

    `shares` are those of a model that may know the same items, of the same features; where it does not they are found.
    """
    known = model.known
    if shares is None or not np.array_equal(shares.known, known):
        shares = find(known, features, told)
    if not len(shares.cold):
        return model
    return _extended(model, shares.cold, shares.warm, shares.shares)


def _extended(model: Recommender, cold: np.ndarray, warm: np.ndarray, shares: sparse.csr_matrix) -> Recommender:
    if isinstance(model, Linear):
        position = np.full(model.count, -1, np.int64)
        position[model.places] = np.arange(len(model.places))
        coordinates = shares.tocoo()
        columns = position[warm[coordinates.col]]
        shape = (len(cold), len(model.places))
        spread = sparse.csr_matrix((coordinates.data, (coordinates.row, columns)), shape=shape, dtype=np.float32)
        return replace(model, cold=spread, cold_places=cold)
    if isinstance(model, Popular):
        ranked = model.ranked.copy()
        ranked[cold] = shares @ ranked[warm]
        return replace(model, ranked=ranked)
    if isinstance(model, Factors | LowRank | Towers):
        vectors = _spread(model.vectors, cold, warm, shares)
        unknown = np.setdiff1d(model.unknown, cold).astype(np.int32)
        if isinstance(model, LowRank):
            reading = _spread(model.reading, cold, warm, shares)
            return replace(model, reading=reading, vectors=vectors, unknown=unknown)
        if isinstance(model, Towers):
            reading, bias = (_spread(each, cold, warm, shares) for each in (model.reading, model.bias))
            return replace(model, reading=reading, vectors=vectors, bias=bias, unknown=unknown)
        return replace(model, vectors=vectors, unknown=unknown)
    return model


def _spread(rows: np.ndarray, cold: np.ndarray, warm: np.ndarray, shares: sparse.csr_matrix) -> np.ndarray:
    found = rows.copy()
    found[cold] = shares @ rows[warm]
    return found
