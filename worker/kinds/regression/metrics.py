"""How near a regression comes, from its outputs and the truth."""

from typing import Any

import numpy as np

from shared.errors import NotAllowedNow
from worker.kinds.regression.data import Target
from worker.kinds.regression.headline import headline
from worker.kinds.regression.resampled import resampled
from worker.preparation import listed

__all__ = ["evaluate", "headline", "resampled", "translate"]

Json = dict[str, Any]


def evaluate(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
    """Metrics in the client's units of arrays (rows, targets); of several targets the mean, and each one beside it."""
    described = Target.model_validate(target)
    true, said = described.restore(truth), described.restore(outputs)
    squares, distances = ((true - said) ** 2).mean(axis=0), np.abs(true - said).mean(axis=0)
    spread = true.var(axis=0)
    each = {"mse": squares, "mae": distances, "rmse": np.sqrt(squares)}
    if (spread > 0).all():
        each["r2"] = 1 - squares / spread
    metrics: Json = {name: {"value": float(values.mean()), "interval": None} for name, values in each.items()}
    if "r2" not in each:
        metrics["r2"] = {"value": None, "interval": None, "reason": "a target is the same in every row measured"}
    if len(described.columns) > 1:
        metrics["per_target"] = {
            column: {name: float(values[place]) for name, values in each.items()}
            for place, column in enumerate(described.columns)
        }
    return metrics


def translate(target: Json, other: Json, outputs: np.ndarray) -> np.ndarray:
    """Outputs of a model that learned `other`, in the units and order of `target`.

    Raises NotAllowedNow when it does not predict every target.
    """
    ours, theirs = Target.model_validate(target), Target.model_validate(other)
    absent = [column for column in ours.columns if column not in theirs.columns]
    if absent:
        raise NotAllowedNow(f"it does not predict {listed(absent)}.", code="gate_refused")
    values = theirs.restore(outputs)[:, [theirs.columns.index(column) for column in ours.columns]]
    return (values - np.array(ours.mean)) / np.array(ours.scale)
