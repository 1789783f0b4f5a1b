"""The metrics of a regression when rows are drawn again, all resamples at once."""

from typing import Any

import numpy as np

from worker.kinds.regression.data import Target
from worker.resampling import Weighted

Json = dict[str, Any]


def resampled(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Weighted:
    """What `metrics.evaluate` says, of rows that count so many times."""
    described = Target.model_validate(target)
    true, said = described.restore(truth), described.restore(outputs)
    squares, distances = (true - said) ** 2, np.abs(true - said)
    # About the mean, or little would be left of a small spread around a large number.
    centred = true - true.mean(axis=0)

    def weighted(drawn: np.ndarray) -> dict[str, np.ndarray]:
        shares = drawn / drawn.sum(axis=1, keepdims=True)
        mse, mae = shares @ squares, shares @ distances
        spread = shares @ centred**2 - (shares @ centred) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - mse / np.where(spread > 0, spread, np.nan)
        each = {"mse": mse, "mae": mae, "rmse": np.sqrt(mse), "r2": r2}
        return {name: values.mean(axis=1) for name, values in each.items()}

    return weighted
