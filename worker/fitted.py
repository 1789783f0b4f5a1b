"""What a training has come to."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fitted:
    """A trained network's weights, and how it came to them."""

    weights: dict[str, np.ndarray]
    history: list[dict[str, float]]
    epochs: int
    best_epoch: int | None
    stopped_by: str | None
