"""Products of vectors that come out alike, bit by bit, however many are computed at once."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types


def one_thread() -> AbstractContextManager[Any]:
    """Within it BLAS has one thread, wherever it runs: how many it has may change a last bit.

    Of one listener's vectors two threads make nothing faster, and they wait for each other where a core is busy.
    """
    found: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return found


@cache
def _blas() -> ThreadpoolController:
    """Looked for once: to look takes as long as an answer."""
    return ThreadpoolController()


def exact(users: np.ndarray, vectors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Of each user with each of its chosen items, float32 (users, chosen).

    A product of matrices adds up in an order that depends on its shape; this adds up a vector after the other.
    """
    found: np.ndarray = np.einsum("ucd,ud->uc", vectors.take(chosen, axis=0), users)
    return found


def all_but(count: int, unknown: np.ndarray) -> np.ndarray:
    """Which of so many items have a vector, bool (count,); `unknown` are the places of those that have none."""
    known = np.ones(count, bool)
    known[unknown] = False
    return known


def longest(vectors: np.ndarray) -> float:
    """The length of the longest; of 100,000 it takes longer to find than a list, so whoever has them remembers it."""
    return float(np.sqrt(np.max(np.einsum("id,id->i", vectors, vectors), initial=0.0)))


def slack(users: np.ndarray, longest: float) -> np.ndarray:
    """How far two products of the same vectors may lie apart, however they are added up, float32 (users,).

    Thirty-two times the rounding of a float32 of the largest product that can be, twice.
    """
    lengths = np.sqrt(np.einsum("ud,ud->u", users, users))
    found: np.ndarray = (4e-6 * longest * lengths).astype(np.float32)
    return found


def cosines(vectors: np.ndarray, item: int, unknown: np.ndarray) -> np.ndarray | None:
    """Of the angle between an item and each other, float32 (items,); None where the item has no direction."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths[item] > 0 or item in unknown:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (vectors @ vectors[item] / lengths / lengths[item]).astype(np.float32)
    found[~np.isfinite(found)] = -np.inf
    found[unknown] = -np.inf
    found[item] = -np.inf
    return found
