"""What a training tells the world while it runs, and what the world may answer: go on, save, or leave."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

# Ended before its time, as `stopped_by` says it: the best epoch up to then is what it has.
CUT_SHORT = ("cancel", "budget")


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on as if nothing had happened, after `epoch` epochs."""

    epoch: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any] = field(default_factory=dict)  # Any: JSON


@dataclass(frozen=True)
class Cut:
    """Where another training was ended, and by what, as its `stopped_by` says it."""

    epoch: int
    by: str


class Watch(Protocol):
    """Called between chunks of epochs, in the training's own thread."""

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        """Take the metrics of the epochs just done; progress is the last one's number of `total`."""

    def pauses_after(self, epoch: int, total: int) -> int | None:
        """Say after which epoch later than `epoch`, of `total`, it must be told at once; None: whenever it suits."""

    def check(self) -> None:
        """Raise JobCancelled, Drained, ClaimLost or JobFailed (deadline) when the training must leave now."""

    def is_checkpoint_due(self) -> bool:
        """Say whether enough time has passed since the last checkpoint."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint, then record it."""

    def is_enough(self) -> bool:
        """Say whether the client wants the training to end here, with its best epoch."""

    def is_budget_spent(self) -> bool:
        """Say whether the compute that the client granted is used up: the training ends with what it has."""


def asked_to_end(watch: Watch) -> str | None:
    """Why a training ends here although it could go on, as `stopped_by` of its result says it; None: it goes on."""
    if watch.is_enough():
        return "cancel"
    return "budget" if watch.is_budget_spent() else None
