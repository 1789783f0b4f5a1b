"""What a network that ranks is shown in a step: of some listeners a part of the history, and what is to be found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from worker.recommenders import reduction
from worker.recommenders.content import unit
from worker.recommenders.histories import Histories
from worker.recommenders.towers import unit_shares

# Content of more dimensions is known by its largest ones; then a step costs little more than without it.
CONTENT_SIZE = 128
# Of few listeners fewer are shown at a time: an epoch is to be more than a step or two.
STEPS_AT_LEAST = 8


@dataclass(frozen=True)
class Batch:
    """Pairs of a row and an item, rising: what is read and how much each counts, and what is to be found."""

    rows: int
    read: np.ndarray  # int64 (pairs, 2)
    shares: np.ndarray  # float32 (pairs,)
    wanted: np.ndarray  # int64 (pairs, 2)
    seed: np.ndarray  # int32 (2,)


def count(listeners: int, at_most: int) -> int:
    """Batches of an epoch."""
    return -(-listeners // size(listeners, at_most))


def size(listeners: int, at_most: int) -> int:
    """How many listeners a step is shown."""
    return max(1, min(at_most, -(-listeners // STEPS_AT_LEAST)))


def draw(given: Histories, at_most: int, *, dropout: float, seed: int, epoch: int) -> Iterator[Batch]:
    """An epoch: each listener once, of each at least one item hidden, of the others this share."""
    order = np.random.default_rng([seed, epoch]).permutation(len(given))
    each = size(len(given), at_most)
    for step, first in enumerate(range(0, len(order), each)):
        random = np.random.default_rng([seed, epoch, step])
        yield hide(given.take(order[first : first + each]), dropout, random)


def hide(given: Histories, dropout: float, random: np.random.Generator) -> Batch:
    """Listeners with a part of their histories hidden, which is to be found."""
    drawn, users = random.random(len(given.items)), given.users
    is_hidden = (drawn < dropout) | (drawn == np.minimum.reduceat(drawn, given.indptr[:-1])[users])
    # The fewer are read the shorter is their sum; so it is as long as it will be when nothing is hidden.
    shares = whole(given.only(~is_hidden)).shares * np.float32((1 - dropout) ** -0.5)
    pairs = np.stack([users, given.items], axis=1)
    seed = random.integers(0, 2**31, 2, dtype=np.int32)
    return Batch(len(given), pairs[~is_hidden], shares, pairs[is_hidden], seed)


def whole(given: Histories) -> Batch:
    """Histories as they are read when nothing is hidden: shares whose squares sum to 1."""
    users = given.users
    shares = unit_shares(given.weights, users)
    pairs = np.stack([users, given.items], axis=1)
    return Batch(len(given), pairs, shares, np.empty((0, 2), np.int64), np.zeros(2, np.int32))


def reduced(features: sparse.csr_matrix) -> np.ndarray:
    """Content as it is where it is short, else by its largest singular values: rows of length 1 or 0."""
    rows = unit(features)
    if rows.shape[1] <= CONTENT_SIZE:
        return np.asarray(rows.todense(), np.float32)
    return reduction.directions(rows, CONTENT_SIZE)
