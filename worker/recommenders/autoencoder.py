"""Learns a linear autoencoder in closed form: how much each item speaks for each other one, and none for itself.

EASE (Steck, WWW 2019); with `dropout` as if every play were hidden with that chance in training (EDLAE: Steck,
NeurIPS 2020), which is exact there and costs nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from worker.recommenders.histories import Histories, Weighting
from worker.recommenders.linear import Linear

METHOD = "ease"


def fit(
    given: Histories,
    *,
    l2: float,
    dropout: float,
    weighting: Weighting,
    items_at_most: int,
    told: Callable[[float], Any] = lambda done: None,
) -> Linear:
    """Learn from the plays of the most played items; memory and time grow with the square and the cube of these."""
    places = most_played(given, items_at_most)
    plays = given.weighted(weighting).matrix()[:, places]
    gram = np.asarray((plays.T @ plays).todense(), np.float64)
    told(0.2)
    diagonal = np.einsum("ii->i", gram)
    diagonal += l2 + dropout / (1 - dropout) * diagonal
    inverse = linalg.cho_solve(linalg.cho_factor(gram, overwrite_a=True, check_finite=False), np.eye(len(places)))
    told(0.9)
    matrix = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(matrix, 0)
    return Linear(METHOD, given.count, weighting, places, matrix)


def most_played(given: Histories, at_most: int) -> np.ndarray:
    """The places of the items that most have played, rising, int32; of those that anybody has."""
    listeners = given.listeners
    order = np.argsort(-listeners, kind="stable")[: min(at_most, np.count_nonzero(listeners))]
    return np.sort(order).astype(np.int32)
