"""What a network that ranks is shown in a step: of some listeners a part of the history, and what is to be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from worker.recommenders.content import unit
from worker.recommenders.histories import Histories

# Content of more dimensions is known by its largest ones; then a step costs little more than without it.
CONTENT_SIZE = 128
# Of few listeners fewer are shown at a time: an epoch is to be more than a step or two.
STEPS_AT_LEAST = 8


class Showing(Protocol):
    """What is read of the settings here."""

    @property
    def dropout(self) -> float:
        """The share of a history that is hidden."""

    @property
    def batch_size(self) -> int:
        """Listeners at a time, at most."""

    @property
    def seed(self) -> int:
        """Of all that is drawn."""


@dataclass(frozen=True)
class Batch:
    """Pairs of a row and a place of an item: what is read and how much each counts, and what is to be found."""

    rows: int
    read: np.ndarray  # int64 (pairs, 2), rising
    shares: np.ndarray  # float32 (pairs,)
    wanted: np.ndarray  # int64 (pairs, 2)
    seed: int

    @property
    def targets(self) -> int:
        return len(self.wanted)


class Batches(Sequence[Batch]):
    """Of an epoch; each is made when it is asked for."""

    def __init__(self, given: Histories, settings: Showing, epoch: int) -> None:
        self._given, self._settings, self._epoch = given, settings, epoch
        self._order = np.random.default_rng([settings.seed, epoch]).permutation(len(given))
        self._size = max(1, min(settings.batch_size, -(-len(given) // STEPS_AT_LEAST)))

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)
