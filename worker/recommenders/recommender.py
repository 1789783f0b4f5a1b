"""What every model that ranks can do, however it has learned: histories in, scores out, with NumPy alone."""

from typing import Any, Protocol

import numpy as np

from worker.recommenders.histories import Histories

Json = dict[str, Any]


class Recommender(Protocol):
    """A learned model. What cannot be recommended has the score -inf."""

    @property
    def count(self) -> int:
        """Items of the catalogue."""

    @property
    def known(self) -> np.ndarray:
        """Which items it makes something of when they were played; bool (items,)."""

    @property
    def offered(self) -> np.ndarray:
        """Which items it can recommend; bool (items,)."""

    @property
    def has_reasons(self) -> bool:
        """Whether a score is a sum over the items that were played."""

    def read(self, given: Histories) -> Any:  # Any: the model's own
        """The users as the model sees them; of a user the same, bit by bit, whoever stands beside."""

    def scores(self, users: Any) -> np.ndarray:
        """Float32 (users, items); a last bit may depend on who stands beside."""

    def slack(self, users: Any) -> np.ndarray:
        """How far these scores may lie from those of other company, float32 (users,)."""

    def refine(self, users: Any, scores: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Of these scores those of chosen items, (users, chosen), the same bit by bit whoever stands beside."""

    def contributions(self, items: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """What each item that was played adds to the score of each wanted one, float64 (played, wanted)."""

    def similar(self, item: int) -> np.ndarray | None:
        """How like it every other item is, float32 (items,), -inf where that is not known; None: of none."""

    def describe(self) -> tuple[Json, dict[str, np.ndarray]]:
        """What is stored of it: settings and arrays."""
