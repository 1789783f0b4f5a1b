"""EASE as it was published (Steck, WWW 2019), of all items, with NumPy alone.

B = I - P diag(1 / diag P), P = (X'X + l2 I)⁻¹, X of ones and zeros. With fewer users than items it is computed from
the users' side: XX' = U W U', so that for all strengths of l2 there is one decomposition.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spectrum:
    """XX' by its values and its vectors U, of the items that enough have played; and U'X."""

    items: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    across: np.ndarray


def decompose(played: np.ndarray, *, least: int) -> Spectrum:
    """`played` bool (users, items); items that fewer than `least` have played are left out."""
    items = np.flatnonzero(played.sum(axis=0) >= least)
    x = played[:, items].astype(np.float64)
    values, vectors = np.linalg.eigh(x @ x.T)
    return Spectrum(items, np.maximum(values, 0), vectors.astype(np.float32), (vectors.T @ x).astype(np.float32))


def scores(spectrum: Spectrum, l2: float, *, count: int) -> np.ndarray:
    """XB where X is 0, float32 (users, count); -inf of items that are left out.

    By Woodbury's identity P = (I - X'MX) / l2 with M = (XX' + l2 I)⁻¹. So where X is 0, XP is -XX'MX / l2, and the
    diagonal of P is (1 - q) / l2, where q is that of X'MX.
    """
    shrunken = spectrum.values / (spectrum.values + l2)
    q = np.einsum("ui,ui,u->i", spectrum.across, spectrum.across, 1 / (spectrum.values + l2), optimize=True)
    found = np.full((len(spectrum.vectors), count), -np.inf, np.float32)
    found[:, spectrum.items] = (spectrum.vectors * shrunken.astype(np.float32)) @ spectrum.across / (1 - q)
    return found


def grid(
    played: np.ndarray, strengths: Sequence[float], leasts: Sequence[int]
) -> Iterator[tuple[int, float, np.ndarray]]:
    """The scores of every `least` and l2."""
    for least in leasts:
        spectrum = decompose(played, least=least)
        for l2 in strengths:
            yield least, l2, scores(spectrum, l2, count=played.shape[1])
