"""Learns a linear autoencoder in closed form: how much each item speaks for each other one, and none for itself.

EASE (Steck, WWW 2019) with a ridge for each item, D = l2 · plays ** ridge_power, and scores that shrink with
plays ** score_power; both 0 are EASE. With `dropout` as if every play were hidden with that chance while it is learned
from (EDLAE: Steck, NeurIPS 2020), which is exact here and costs nothing. Plays are sums of squared weights.

With a rank the same is kept as vectors: the best approximation of (G + D)⁻¹ G by the spectrum of D⁻½ G D⁻½, G = X'X,
as ridge regression shrinks it, w / (w + 1) (Hoerl and Kennard, 1970). It is of any number of items, and the rank
regularises.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import svds

from worker.recommenders.histories import Histories, Weighting
from worker.recommenders.linear import Linear
from worker.recommenders.low_rank import LowRank

METHOD = "ease"


def fit(
    given: Histories,
    *,
    l2: float,
    ridge_power: float,
    score_power: float,
    weighting: Weighting,
    dropout: float,
    items_at_most: int,
    told: Callable[[float], Any] = lambda done: None,
) -> Linear:
    """Learn from the most played items; memory and time grow with the square and the cube of these."""
    places = most_played(given, items_at_most)
    plays = given.weighted(weighting).matrix()[:, places].astype(np.float64)
    gram = np.asarray((plays.T @ plays).todense())
    told(0.2)
    played = np.diag(gram).copy()
    gram[np.diag_indices_from(gram)] += l2 * played**ridge_power + dropout / (1 - dropout) * played
    inverse = _inverse(gram)
    told(0.9)
    matrix = inverse / -np.diag(inverse) * played**-score_power
    np.fill_diagonal(matrix, 0)
    return Linear(METHOD, given.count, weighting, places, matrix.astype(np.float32))


def _inverse(gram: np.ndarray) -> np.ndarray:
    """Of a matrix that is symmetric and positive; what is given is overwritten."""
    factor, failed = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError("the matrix is not positive")
    found: np.ndarray = np.tril(inverse) + np.tril(inverse, -1).T
    return found


def fit_rank(
    given: Histories,
    *,
    rank: int,
    l2: float,
    ridge_power: float,
    score_power: float,
    weighting: Weighting,
    told: Callable[[float], Any] = lambda done: None,
) -> LowRank:
    """Learn vectors of all items that anybody has played."""
    places = np.flatnonzero(given.listeners)
    plays = given.weighted(weighting).matrix()[:, places].astype(np.float64)
    played = np.asarray(plays.multiply(plays).sum(axis=0)).ravel()
    ridge = l2 * played**ridge_power
    values, directions = _spectrum(sparse.csr_matrix(plays @ sparse.diags(ridge**-0.5)), rank)
    told(0.9)
    shrunken = directions * np.sqrt(values / (values + 1))
    reading, vectors = np.zeros((2, given.count, shrunken.shape[1]), np.float32)
    reading[places] = shrunken * (ridge**-0.5)[:, None]
    vectors[places] = shrunken * (ridge**0.5 * played**-score_power)[:, None]
    unknown = np.flatnonzero(given.listeners == 0).astype(np.int32)
    return LowRank(METHOD, weighting, reading, vectors, unknown)


def _spectrum(scaled: sparse.csr_matrix, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of X'X and their directions, (items, rank) float64; fewer where there are fewer."""
    if rank < min(scaled.shape) - 1:
        # Begun at the same vector, it ends at the same numbers.
        begin = np.ones(min(scaled.shape))
        _, values, rows = svds(scaled, k=rank, v0=begin)
    else:
        _, values, rows = linalg.svd(np.asarray(scaled.todense()), full_matrices=False)
    order = np.argsort(-values, kind="stable")[:rank]
    kept = order[values[order] > 1e-9 * values.max(initial=1e-300)]
    directions = rows[kept].T
    # A direction and its opposite are the same: whichever way it is found, it is kept this way round.
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return values[kept] ** 2, directions * signs


def most_played(given: Histories, at_most: int) -> np.ndarray:
    """The places of the items that most have played, rising, int32; of those that anybody has."""
    listeners = given.listeners
    order = np.argsort(-listeners, kind="stable")[: min(at_most, np.count_nonzero(listeners))]
    return np.sort(order).astype(np.int32)
