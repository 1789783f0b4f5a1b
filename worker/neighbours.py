"""Tracks by what they sound like: one unit vector each, the exact nearest ones by a matrix product (NumPy alone)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Rows whose products with all others are held at once.
AT_ONCE = 1024

Json = dict[str, Any]


@dataclass(frozen=True)
class Catalogue:
    """Keys, unit vectors (tracks, size) float32, and the manifest's columns; a vector of zeros is a track not heard."""

    keys: Sequence[str]
    vectors: np.ndarray
    columns: Mapping[str, Sequence[Any]]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Mean embeddings (tracks, size) as vectors of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors, np.float32), where=lengths > 0)


def as_text(vector: np.ndarray) -> str:
    """A vector as it stands in a row of SQL: float32, little-endian, base 64."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def from_text(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def fitting(catalogue: Catalogue, where: Mapping[str, str]) -> np.ndarray:
    """Which tracks were heard and have these values in these columns, compared as text; KeyError for a column."""
    fits = np.linalg.norm(catalogue.vectors, axis=1) > 0
    for name, wanted in where.items():
        fits &= np.array([_text(value) == wanted for value in catalogue.columns[name]], bool)
    return fits


def _text(value: Any) -> str:  # Any: a cell of the manifest
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def nearest(catalogue: Catalogue, places: Sequence[int], k: int, fits: np.ndarray) -> list[list[tuple[int, float]]]:
    """For each of the places the k nearest other tracks that fit, with the cosine of the angle; equal ones in order."""
    found: list[list[tuple[int, float]]] = []
    for start in range(0, len(places), AT_ONCE):
        asked = np.asarray(places[start : start + AT_ONCE], np.int64)
        cosines = catalogue.vectors[asked] @ catalogue.vectors.T
        cosines[:, ~fits] = -np.inf
        cosines[np.arange(len(asked)), asked] = -np.inf
        found += [_best(row, k) for row in cosines]
    return found


def _best(cosines: np.ndarray, k: int) -> list[tuple[int, float]]:
    k = min(k, len(cosines))
    # The k-th largest and all that equal it, so that ties are broken by the order of the tracks, always alike.
    least = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
    chosen = np.flatnonzero((cosines >= least) & np.isfinite(cosines))
    ordered = sorted(chosen.tolist(), key=lambda place: (-cosines[place], place))[:k]
    return [(place, round(float(cosines[place]), 6)) for place in ordered]
