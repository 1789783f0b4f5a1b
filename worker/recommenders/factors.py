"""Scores as products of vectors: of each item one, and of a listener the one that fits what was played best."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from worker.recommenders import products
from worker.recommenders.histories import Histories, Weighting, weigh

Json = dict[str, Any]
METHOD = "als"


class _Normal(NamedTuple):
    """The normal equations of one listener: A x = V' c."""

    matrix: np.ndarray
    vectors: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Factors:
    """Vectors (items, factors) float32 of implicit feedback (Hu, Koren and Volinsky, ICDM 2008).

    A listener's vector minimises the sum over all items of c (p - x·v)² plus regularization x·x, where p is whether the
    item was played and c = 1 + alpha · weight.
    """

    vectors: np.ndarray
    weighting: Weighting
    alpha: float
    regularization: float
    # Of items that are not recommended: nobody has played them, and nothing is known of what they are like.
    unknown: np.ndarray  # int32, places
    has_reasons = True

    @property
    def count(self) -> int:
        return len(self.vectors)

    @property
    def known(self) -> np.ndarray:
        return products.all_but(self.count, self.unknown)

    @property
    def offered(self) -> np.ndarray:
        return self.known

    @cached_property
    def _gram(self) -> np.ndarray:
        wide = self.vectors.astype(np.float64)
        return wide.T @ wide + self.regularization * np.eye(wide.shape[1])

    def read(self, given: Histories) -> np.ndarray:
        # One by one: so the product of each has the same shape whoever stands beside, and rounds alike.
        found = np.zeros((len(given), self.vectors.shape[1]), np.float32)
        for user in range(len(given)):
            items, weights = given.of(user)
            if len(items):
                normal = self._normal(items, weights)
                found[user] = np.linalg.solve(normal.matrix, normal.vectors.T @ normal.confidence)
        return found

    def _normal(self, items: np.ndarray, weights: np.ndarray) -> _Normal:
        extra = self.alpha * weigh(weights, self.weighting).astype(np.float64)
        vectors = self.vectors[items].astype(np.float64)
        return _Normal(self._gram + (vectors.T * extra) @ vectors, vectors, 1 + extra)

    def scores(self, users: np.ndarray) -> np.ndarray:
        found: np.ndarray = users @ self.vectors.T
        found[:, self.unknown] = -np.inf
        return found

    @cached_property
    def _longest(self) -> float:
        return products.longest(self.vectors)

    def slack(self, users: np.ndarray) -> np.ndarray:
        return products.slack(users, self._longest)

    def refine(self, users: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return products.exact(users, self.vectors, chosen)

    def contributions(self, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """As section 5 of the paper: v' A⁻¹ V' c is a sum over what was played."""
        normal = self._normal(items, weights)
        reached = np.linalg.solve(normal.matrix, normal.vectors.T)
        return (self.vectors[wanted].astype(np.float64) @ reached * normal.confidence).T

    def similar(self, item: int) -> np.ndarray | None:
        return products.cosines(self.vectors, item, self.unknown)

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        said = {
            "method": METHOD,
            "form": "factors",
            "weighting": self.weighting,
            "alpha": self.alpha,
            "regularization": self.regularization,
        }
        return said, {"vectors": self.vectors, "unknown": self.unknown}


def restore(spec: Json, arrays: dict[str, np.ndarray]) -> Factors:
    """As it was described. Raises KeyError or ValueError."""
    return Factors(
        arrays["vectors"], spec["weighting"], float(spec["alpha"]), float(spec["regularization"]), arrays["unknown"]
    )
