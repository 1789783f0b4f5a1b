"""What listeners have played: a sparse matrix of users and items, and how a play becomes a weight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import sparse

Weighting = Literal["binary", "log", "linear", "damped"]
# Of the plays; what it comes to is divided by the listener's mean.
DAMPING = 0.3


@dataclass(frozen=True)
class Histories:
    """What each user has played: places of items, rising within a user, each once."""

    indptr: np.ndarray  # int64 (users + 1,)
    items: np.ndarray  # int32 (pairs,)
    weights: np.ndarray  # float32 (pairs,), above 0
    count: int  # items of the catalogue

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> np.ndarray:
        """How many items each user has, int64 (users,)."""
        return np.diff(self.indptr)

    @property
    def users(self) -> np.ndarray:
        """The user of each pair, int64 (pairs,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def listeners(self) -> np.ndarray:
        """How many users have played each item, int64 (items,)."""
        return np.bincount(self.items, minlength=self.count)

    def of(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """A user's items and their weights."""
        here = slice(self.indptr[user], self.indptr[user + 1])
        return self.items[here], self.weights[here]

    def take(self, users: np.ndarray) -> "Histories":
        """Some users, in the order given."""
        lengths = self.lengths[users]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.indptr[users] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Histories(indptr, self.items[places], self.weights[places], self.count)

    def within(self, first: int, end: int) -> "Histories":
        """The users from `first` to before `end`."""
        here = slice(self.indptr[first], self.indptr[end])
        indptr = self.indptr[first : end + 1] - self.indptr[first]
        return Histories(indptr, self.items[here], self.weights[here], self.count)

    def only(self, kept: np.ndarray) -> "Histories":
        """The same users with some of their pairs; bool (pairs,)."""
        lengths = np.bincount(self.users[kept], minlength=len(self))
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        return Histories(indptr, self.items[kept], self.weights[kept], self.count)

    def weighted(self, how: Weighting) -> "Histories":
        """With the weights that a model is given."""
        return replace(self, weights=weigh(self.weights, how, self.users))

    def matrix(self) -> sparse.csr_matrix:
        """The same as a matrix (users, items), float32."""
        return sparse.csr_matrix((self.weights, self.items, self.indptr), shape=(len(self), self.count))


def weigh(weights: np.ndarray, how: Weighting, users: np.ndarray | None = None) -> np.ndarray:
    """How much plays count, float32: each item alike, by the logarithm, damped, or as they are.

    `users` is whose each is; None: all are of one. Damped is plays ** 0.3 beside the listener's own mean of that.
    """
    if how == "binary":
        return np.ones_like(weights)
    if how == "damped":
        return _damped(weights, np.zeros(len(weights), np.int64) if users is None else users)
    return np.log1p(weights) if how == "log" else weights


def _damped(weights: np.ndarray, users: np.ndarray) -> np.ndarray:
    powers = weights.astype(np.float64) ** DAMPING
    # Added up one after the other, so that it rounds alike whoever stands beside.
    sums, counts = np.bincount(users, powers), np.bincount(users)
    damped: np.ndarray = (powers / (sums / np.maximum(1, counts))[users]).astype(np.float32)
    return damped


def gather(user: np.ndarray, item: np.ndarray, weight: np.ndarray, *, users: int, items: int) -> Histories:
    """Events as histories: the weights of the same user and item are summed."""
    pairs = user.astype(np.int64) * items + item
    found, places = np.unique(pairs, return_inverse=True)
    sums = np.bincount(places, weights=weight, minlength=len(found)).astype(np.float32)
    # What is so little that float32 makes nothing of it was played all the same.
    sums = np.maximum(sums, np.finfo(np.float32).tiny)
    indptr = np.searchsorted(found, np.arange(users + 1) * items)
    return Histories(indptr.astype(np.int64), (found % items).astype(np.int32) if items else found.astype(np.int32),
                     sums, items)  # fmt: skip


def single(items: Sequence[int], weights: Sequence[float], *, count: int) -> Histories:
    """One listener who has played these."""
    places = np.asarray(items, np.int64)
    return gather(np.zeros(len(places), np.int64), places, np.asarray(weights, np.float64), users=1, items=count)


def joined(first: Histories, second: Histories) -> Histories:
    """What the same users have played in both; weights are summed."""
    users, items = (np.concatenate([getattr(first, each), getattr(second, each)]) for each in ("users", "items"))
    weights = np.concatenate([first.weights, second.weights])
    return gather(users, items, weights, users=len(first), items=first.count)
