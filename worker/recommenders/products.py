"""Products of vectors that come out alike, bit by bit, however many are computed at once."""

import numpy as np


def exact(users: np.ndarray, vectors: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Of each user with each of its chosen items, float32 (users, chosen).

    A product of matrices adds up in an order that depends on its shape; this adds up a vector after the other.
    """
    found: np.ndarray = np.einsum("ucd,ud->uc", vectors.take(chosen, axis=0), users)
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
