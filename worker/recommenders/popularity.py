"""The same list for everybody: what most have played. What every other model must be better than."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.recommenders.histories import Histories

Json = dict[str, Any]
METHOD = "popularity"


@dataclass(frozen=True)
class Popular:
    """Scores of all items, whoever asks; float32 (items,)."""

    ranked: np.ndarray
    has_reasons = False

    @property
    def count(self) -> int:
        return len(self.ranked)

    @property
    def known(self) -> np.ndarray:
        return np.isfinite(self.ranked)

    @property
    def offered(self) -> np.ndarray:
        return self.known

    def read(self, given: Histories) -> np.ndarray:
        return np.empty((len(given), 0))

    def scores(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.ranked, (len(users), 1))

    def slack(self, users: np.ndarray) -> np.ndarray:
        return np.zeros(len(users), np.float32)

    def refine(self, users: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.take_along_axis(scores, chosen, axis=1)

    def contributions(self, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return np.zeros((len(items), len(wanted)))

    def similar(self, item: int) -> None:
        return None

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        return {"method": METHOD, "form": "popularity"}, {"ranked": self.ranked}


def fit(given: Histories) -> Popular:
    """Share of the users that have played each item; what nobody has played is not recommended."""
    listeners = given.listeners
    shares = (listeners / max(1, len(given))).astype(np.float32)
    return Popular(np.where(listeners > 0, shares, np.float32(-np.inf)))


def restore(spec: Json, arrays: dict[str, np.ndarray]) -> Popular:
    return Popular(arrays["ranked"])
