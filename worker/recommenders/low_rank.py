"""Scores as sums over what was played, by vectors: how each item is read, and how it is recommended."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from worker.recommenders import products
from worker.recommenders.histories import Histories, Weighting, weigh

Json = dict[str, Any]


@dataclass(frozen=True)
class LowRank:
    """The score of an item is its vector times the sum of `reading` over what was played, each by its weight."""

    method: str
    weighting: Weighting
    reading: np.ndarray  # float32 (items, rank)
    vectors: np.ndarray  # float32 (items, rank)
    unknown: np.ndarray  # int32, places of what is not recommended
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

    def read(self, given: Histories) -> np.ndarray:
        # A row of a sparse matrix is added up in its own order, whoever stands beside.
        found: np.ndarray = given.weighted(self.weighting).matrix() @ self.reading
        return found

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
        parts = self.reading[items].astype(np.float64) @ self.vectors[wanted].T.astype(np.float64)
        found: np.ndarray = parts * weigh(weights, self.weighting)[:, None]
        return found

    def similar(self, item: int) -> np.ndarray | None:
        return products.cosines(self.vectors, item, self.unknown)

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        said = {"method": self.method, "form": "low_rank", "weighting": self.weighting}
        return said, {"reading": self.reading, "vectors": self.vectors, "unknown": self.unknown}


def restore(spec: Json, arrays: dict[str, np.ndarray]) -> LowRank:
    """As it was described. Raises KeyError."""
    return LowRank(spec["method"], spec["weighting"], arrays["reading"], arrays["vectors"], arrays["unknown"])
