"""The first metric of a regression by itself: importance asks for it hundreds of times."""

from typing import Any

import numpy as np

from worker.kinds.regression.data import Target

Json = dict[str, Any]


def headline(target: Json, truth: np.ndarray, outputs: np.ndarray) -> float | None:
    """The R² that `metrics.evaluate` tells, of several targets the mean; None where one never differs."""
    described = Target.model_validate(target)
    true, said = described.restore(truth), described.restore(outputs)
    spread = true.var(axis=0)
    if not (spread > 0).all():
        return None
    return float((1 - ((true - said) ** 2).mean(axis=0) / spread).mean())
