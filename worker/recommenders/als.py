"""Learns vectors of items from implicit feedback by alternating least squares.

The sum and its alternation: Hu, Koren and Volinsky, ICDM 2008. Rows of about as many pairs are solved together: short
ones exactly, by as many equations as they have pairs, and long ones by a few steps of conjugate gradients from where
they stood (Takács, Pilászy and Tikk, RecSys 2011).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from worker import cores
from worker.recommenders import products
from worker.recommenders.factors import Factors
from worker.recommenders.histories import Histories, Weighting

# Measured with 64 and 128 factors: with more pairs the steps are faster, and get as near within the next iterations.
SHORT, STEPS = 16, 3
# Beyond it single precision loses what is to be solved exactly, and the steps, which cannot go astray, do all.
WORST_CONDITION = 1e4
# Numbers of a group of rows that are held at once, by each thread: 8 MB of float32, most of it in a cache.
CELLS_AT_ONCE = 2_097_152
# The longest row of a group has so many times the pairs of its shortest: the rest is computed for nothing.
PADDED = 1.15
THREADS_AT_MOST = 8
# What is nearer to zero than this is solved already.
SOLVED = 1e-20


@dataclass(frozen=True)
class _Group:
    """Rows of about as many pairs: places of the others (rows, pairs), and how much each counts, 0 behind the last."""

    rows: np.ndarray
    others: np.ndarray
    extra: np.ndarray  # beyond what is not played
    confidence: np.ndarray  # 1 + extra, and 0 where there is no pair


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
    random = np.random.default_rng(seed)
    users, items = (random.normal(0, 0.01, (rows, factors)).astype(np.float32) for rows in extra.shape)
    of_users, of_items = (list(_groups(side, factors)) for side in (extra, sparse.csr_matrix(extra.T)))
    # Who has nothing is nowhere.
    users[np.diff(extra.indptr) == 0], items[given.listeners == 0] = 0, 0
    # The threads are ours; BLAS's own would only stand in their way.
    with products.one_thread(), ThreadPoolExecutor(min(THREADS_AT_MOST, cores.count()), "als") as pool:
        for done in range(iterations):
            _solve(of_users, users, items, regularization, pool)
            _solve(of_items, items, users, regularization, pool)
            told(done + 1)
    return Factors(items, weighting, alpha, regularization, np.flatnonzero(given.listeners == 0).astype(np.int32))


def _groups(extra: sparse.csr_matrix, factors: int) -> Iterator[_Group]:
    """All rows that have a pair, by how many they have."""
    lengths = np.diff(extra.indptr)
    order = np.argsort(lengths, kind="stable")
    rising = lengths[order]
    first = int(np.searchsorted(rising, 1))
    while first < len(order):
        longest = int(rising[first] * PADDED)
        at_most = max(1, CELLS_AT_ONCE // (longest * (2 * factors + longest)))
        end = min(int(np.searchsorted(rising, longest, side="right")), first + at_most)
        yield _group(extra, order[first:end], rising[first:end])
        first = end


def _group(extra: sparse.csr_matrix, rows: np.ndarray, lengths: np.ndarray) -> _Group:
    shape = len(rows), int(lengths[-1])
    row = np.repeat(np.arange(len(rows)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = np.repeat(extra.indptr[rows], lengths) + column
    others, values, confidence = np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    others[row, column], values[row, column] = extra.indices[pairs], extra.data[pairs]
    confidence[row, column] = 1 + extra.data[pairs]
    return _Group(rows, others, values, confidence)


def _solve(
    groups: list[_Group], rows: np.ndarray, others: np.ndarray, regularization: float, pool: ThreadPoolExecutor
) -> None:
    """Move the rows to what is best, or nearer to it, while the others stay."""
    gram = others.T @ others + regularization * np.eye(others.shape[1], dtype=np.float32)
    is_sound = np.linalg.cond(gram.astype(np.float64)) < WORST_CONDITION
    reached = others @ np.linalg.inv(gram.astype(np.float64)).astype(np.float32) if is_sound else others

    def solve(group: _Group) -> None:
        vectors = others.take(group.others, axis=0)
        if is_sound and group.others.shape[1] <= SHORT:
            rows[group.rows] = _solved(group, vectors, reached.take(group.others, axis=0))
        else:
            rows[group.rows] = _stepped(group, vectors, rows[group.rows], gram)

    # A list: what one of them raises is raised here.
    list(pool.map(solve, groups))


def _solved(group: _Group, vectors: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The best rows. With A = V'V + regularization, Y their vectors, c their confidence and E = c - 1, Woodbury's
    identity makes of (A + Y'EY) x = Y'c one equation a pair: x = A⁻¹Y'(c - √E w), (I + √E YA⁻¹Y' √E) w = √E YA⁻¹Y' c.
    """
    near = np.matmul(vectors, reached.transpose(0, 2, 1))
    root = np.sqrt(group.extra)[:, :, None]
    system = root * near * root.transpose(0, 2, 1)
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += 1
    right = root * np.matmul(near, group.confidence[:, :, None])
    weights = group.confidence - (root * np.linalg.solve(system, right))[:, :, 0]
    found: np.ndarray = np.matmul(weights[:, None], reached)[:, 0]
    return found


def _stepped(group: _Group, vectors: np.ndarray, found: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Rows nearer to what is best."""

    def applied(rows: np.ndarray) -> np.ndarray:
        beyond = group.extra * np.matmul(vectors, rows[:, :, None])[:, :, 0]
        return rows @ gram + np.matmul(beyond[:, None], vectors)[:, 0]

    residual = np.matmul(group.confidence[:, None], vectors)[:, 0] - applied(found)
    direction, size = residual, _dots(residual, residual)
    for _ in range(STEPS):
        reached = applied(direction)
        step = _ratio(size, _dots(direction, reached))
        found = found + step[:, None] * direction
        residual = residual - step[:, None] * reached
        before, size = size, _dots(residual, residual)
        direction = residual + _ratio(size, before)[:, None] * direction
    return found


def _dots(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.einsum("rf,rf->r", first, second)
    return found


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > SOLVED)
