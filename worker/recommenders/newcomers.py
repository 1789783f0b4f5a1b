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
    *,
    weight: float = 1.0,
) -> Recommender:
    """The model with a score for each item that is like some that it knows; the others stay unknown.

    The score is `weight` times the mean of theirs. `shares` are those of a model that may know the same items, of the
    same features; where it does not they are found.
    """
    known = model.known
    if shares is None or not np.array_equal(shares.known, known):
        shares = find(known, features, told)
    if not len(shares.cold):
        return model
    return _extended(model, shares, weight)


class Finder:
    """Extends models by what items are like, and remembers where new items stand for the last that knew the same."""

    def __init__(self, features: sparse.csr_matrix | None) -> None:
        self._features = features
        self._last: Places | None = None

    def extend(self, model: Recommender, weight: float, told: Callable[[float], Any]) -> Recommender:
        """As `extend`."""
        if self._features is None:
            return model
        if self._last is None or not np.array_equal(self._last.known, model.known):
            self._last = find(model.known, self._features, told)
        return extend(model, self._features, self._last, weight=weight)


def _extended(model: Recommender, places: Places, weight: float) -> Recommender:
    cold, warm = places.cold, places.warm
    shares = sparse.csr_matrix(places.shares * np.float32(weight))
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
    if not isinstance(model, Factors | LowRank | Towers):
        return model
    vectors = _spread(model.vectors, cold, warm, shares)
    unknown = np.setdiff1d(model.unknown, cold).astype(np.int32)
    if isinstance(model, Factors):
        return replace(model, vectors=vectors, unknown=unknown)
    # What it says of a listener who has played it is not less for that.
    reading = _spread(model.reading, cold, warm, places.shares)
    if isinstance(model, LowRank):
        return replace(model, reading=reading, vectors=vectors, unknown=unknown)
    bias = _spread(model.bias, cold, warm, shares)
    return replace(model, reading=reading, vectors=vectors, bias=bias, unknown=unknown)


def _spread(rows: np.ndarray, cold: np.ndarray, warm: np.ndarray, shares: sparse.csr_matrix) -> np.ndarray:
    found = rows.copy()
    found[cold] = shares @ rows[warm]
    return found
