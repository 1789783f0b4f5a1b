"""Learns vectors of items from implicit feedback by alternating least squares.

The sum and its alternation: Hu, Koren and Volinsky, ICDM 2008. Each side is solved by a few steps of conjugate
gradients from where it stood (Takács, Pilászy and Tikk, RecSys 2011), for all rows at once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from worker.recommenders.factors import Factors
from worker.recommenders.histories import Histories, Weighting

STEPS = 3
# Products of a user's and an item's vector that are held at once: 64 MB of float32.
CELLS_AT_ONCE = 16_777_216
# What is nearer to zero than this is solved already.
SOLVED = 1e-20


def fit(
    given: Histories,
    *,
    factors: int,
    alpha: float,
    regularization: float,
    iterations: int,
    weighting: Weighting,
    seed: int,
    told: Callable[[int], Any] = lambda done: None,
) -> Factors:
    """Learn; `told(done)` is called after each iteration, and may raise."""
    extra = given.weighted(weighting).matrix() * np.float32(alpha)
    both = extra, sparse.csr_matrix(extra.T)
    random = np.random.default_rng(seed)
    users, items = (random.normal(0, 0.01, (rows, factors)).astype(np.float32) for rows in extra.shape)
    for done in range(iterations):
        users = _solve(both[0], users, items, regularization)
        items = _solve(both[1], items, users, regularization)
        told(done + 1)
    unknown = np.flatnonzero(given.listeners == 0).astype(np.int32)
    items[unknown] = 0
    return Factors(items, weighting, alpha, regularization, unknown)


def _solve(extra: sparse.csr_matrix, rows: np.ndarray, others: np.ndarray, regularization: float) -> np.ndarray:
    """The rows nearer to what is best while the others stay; `extra` is the confidence beyond 1 of each pair."""
    gram = others.T @ others + regularization * np.eye(others.shape[1], dtype=np.float32)
    confidence = extra.copy()
    confidence.data = confidence.data + 1
    found = rows.copy()
    residual = confidence @ others - _apply(extra, found, others, gram)
    direction = residual.copy()
    size = _dots(residual, residual)
    for _ in range(STEPS):
        reached = _apply(extra, direction, others, gram)
        step = _ratio(size, _dots(direction, reached))
        found += step[:, None] * direction
        residual -= step[:, None] * reached
        before, size = size, _dots(residual, residual)
        direction = residual + _ratio(size, before)[:, None] * direction
    # Who has nothing is nowhere.
    found[np.diff(extra.indptr) == 0] = 0
    return found


def _apply(extra: sparse.csr_matrix, rows: np.ndarray, others: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """(V'V + V' E V + regularization) x of each row x."""
    found = rows @ gram
    at_once = max(1, CELLS_AT_ONCE // others.shape[1])
    first = 0
    while first < extra.shape[0]:
        # At least one row, however many pairs it has.
        end = int(np.searchsorted(extra.indptr, extra.indptr[first] + at_once, side="right")) - 1
        end = min(max(end, first + 1), extra.shape[0])
        found[first:end] += _beyond(extra[first:end], rows[first:end], others)
        first = end
    return found


def _beyond(extra: sparse.csr_matrix, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    owners = np.repeat(np.arange(extra.shape[0]), np.diff(extra.indptr))
    products = _dots(rows[owners], others[extra.indices])
    scaled = sparse.csr_matrix((extra.data * products, extra.indices, extra.indptr), shape=extra.shape)
    found: np.ndarray = scaled @ others
    return found


def _dots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.einsum("rf,rf->r", first, second)
    return found


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > SOLVED)
