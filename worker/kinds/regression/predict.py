"""From a regression's outputs to numbers in the client's units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from worker import features, forward
from worker.artifacts import Model
from worker.attribution import Readout
from worker.features import Feature
from worker.kinds.regression.data import Target
from worker.predictions import Answer


def open(model: Model) -> "Regressor":
    """Make a model ready to score."""
    run = forward.compile(model.network, model.weights)
    return Regressor(features.from_json(model.preprocessing), Target.model_validate(model.target), run)


@dataclass(frozen=True)
class Regressor:
    """A regression ready to score."""

    features: tuple[Feature, ...]
    target: Target
    network: Callable[[np.ndarray], np.ndarray]

    @property
    def outputs(self) -> int:
        return len(self.target.columns)

    def answer(self, outputs: np.ndarray) -> Answer:
        """A number a row, or one for each target."""
        values = self.target.restore(outputs)
        columns = {name: pa.array(column) for name, column in zip(self.target.columns, values.T, strict=True)}
        prediction = columns if len(columns) > 1 else columns[self.target.columns[0]]
        said = dict(zip(self.target.columns, values.T, strict=True))
        return Answer({"prediction": prediction}, values.sum(axis=0), said)

    def tell_outputs(self) -> dict[str, Any]:
        """What each output means, for whoever runs the network elsewhere."""
        return {
            "columns": list(self.target.columns),
            "meaning": "a number for each target, which is output * scale + mean.",
            "mean": list(self.target.mean),
            "scale": list(self.target.scale),
        }

    def readouts(self, outputs: np.ndarray) -> list[Readout]:
        """Each target's number, in the client's units."""
        units = zip(self.target.columns, self.target.mean, self.target.scale, self.target.deviations, strict=True)
        shape = (len(outputs), self.outputs)
        return [
            Readout(
                [name] * len(outputs),
                np.broadcast_to(np.eye(self.outputs, dtype=np.float32)[place] * np.float32(scale), shape),
                np.full(len(outputs), mean),
                deviation,
            )
            for place, (name, mean, scale, deviation) in enumerate(units)
        ]

    def beyond(self, before: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How much further than a standard deviation any target has moved, in standard deviations."""
        moved = np.abs(self.target.restore(outputs) - self.target.restore(before)) / np.array(self.target.deviations)
        return np.asarray(moved.max(axis=1) - 1)

    def summarise(self, totals: np.ndarray, rows: int) -> dict[str, Any]:
        """The mean prediction of each target."""
        means = (totals / rows).tolist() if rows else [None] * len(totals)
        return {"mean_prediction": dict(zip(self.target.columns, means, strict=True))}
