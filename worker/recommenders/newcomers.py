"""Gives items a place of which no plays are known: they stand where what is like them stands."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from worker.recommenders import content
from worker.recommenders.factors import Factors
from worker.recommenders.linear import Linear
from worker.recommenders.low_rank import LowRank
from worker.recommenders.popularity import Popular
from worker.recommenders.recommender import Recommender
from worker.recommenders.towers import Towers


def extend(model: Recommender, features: sparse.csr_matrix | None) -> Recommender:
    """The model with a score for each item that is like some that it knows; the others stay unknown."""
    if features is None:
        return model
    known = model.known
    has_content = np.diff(features.indptr) > 0
    cold, warm = np.flatnonzero(~known & has_content), np.flatnonzero(known & has_content)
    if not len(cold) or not len(warm):
        return model
    shares = content.shares(features, cold, warm)
    is_like = np.diff(shares.indptr) > 0
    cold, shares = cold[is_like].astype(np.int32), shares[is_like]
    return _extended(model, cold, warm, shares)


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
