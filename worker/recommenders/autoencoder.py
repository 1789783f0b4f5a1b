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
# With so few items, or so few users, a dense matrix of these is 128 MB, and its spectrum is found at once.
FEW = 4_000
# Of the largest eigenvalue: what is less is rounding.
LEAST_SHARE = 1e-12


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
    plays = _of_items(given.weighted(weighting).matrix(), places)
    played = np.bincount(plays.indices, plays.data**2, minlength=len(places))
    # The ridge beside l2, which the spectrum is compared with instead: so scores are numbers whatever it is.
    ridge = played**ridge_power
    plays.data *= (ridge**-0.5)[plays.indices]
    told(0.1)
    values, directions = _spectrum(plays, rank)
    told(0.9)
    shrunken = directions * np.sqrt(values / (values + l2))
    reading, vectors = np.zeros((2, given.count, shrunken.shape[1]), np.float32)
    reading[places] = shrunken * (ridge**-0.5)[:, None]
    vectors[places] = shrunken * (ridge**0.5 * played**-score_power)[:, None]
    unknown = np.flatnonzero(given.listeners == 0).astype(np.int32)
    return LowRank(METHOD, weighting, reading, vectors, unknown)


def _of_items(plays: sparse.csr_matrix, places: np.ndarray) -> sparse.csr_matrix:
    """The columns of these items, float64, and nobody else's to write into."""
    chosen = plays if len(places) == plays.shape[1] else plays[:, places]
    return chosen.astype(np.float64)


def _spectrum(scaled: sparse.csr_matrix, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of X'X and their directions, (items, rank) float64; fewer where there are fewer."""
    few = min(scaled.shape)
    if not few:
        return np.zeros(0), np.zeros((scaled.shape[1], 0))
    if few > FEW and rank < few - 1:
        # Begun at the same vector, it ends at the same numbers.
        _, found, rows = svds(scaled, k=rank, v0=np.ones(few))
        values, directions = found**2, rows.T
    else:
        values, directions = _of_gram(scaled, min(rank, few))
    order = np.argsort(-values, kind="stable")
    kept = order[values[order] > LEAST_SHARE * values.max(initial=0.0)]
    directions = directions[:, kept]
    # A direction and its opposite are the same: whichever way it is found, it is kept this way round.
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return values[kept], directions * signs


def _of_gram(scaled: sparse.csr_matrix, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The same out of X'X itself, or out of XX' where there are fewer users than items; in no order."""
    users, items = scaled.shape
    gram = np.asarray((scaled.T @ scaled if items <= users else scaled @ scaled.T).todense())
    largest = [len(gram) - rank, len(gram) - 1]
    values, directions = linalg.eigh(gram, subset_by_index=largest, overwrite_a=True)
    values = np.maximum(values, 0)
    if users < items:
        lengths = np.sqrt(values)
        directions = np.divide(scaled.T @ directions, lengths, out=np.zeros((items, rank)), where=lengths > 0)
    return values, directions


def most_played(given: Histories, at_most: int) -> np.ndarray:
    """The places of the items that most have played, rising, int32; of those that anybody has."""
    listeners = given.listeners
    order = np.argsort(-listeners, kind="stable")[: min(at_most, np.count_nonzero(listeners))]
    return np.sort(order).astype(np.int32)
