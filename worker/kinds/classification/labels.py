"""The labels of rows beside what is said of them out of fold, as an audit judges them."""

from typing import Any

import numpy as np

from worker import calibration
from worker.kinds.classification.answers import unfold
from worker.kinds.classification.data import Target
from worker.kinds.protocol import Labelled

Json = dict[str, Any]


def read(target: Json, truth: np.ndarray, outputs: np.ndarray, units: np.ndarray, *, seed: int) -> Labelled:
    """The labels given, and probabilities at one temperature: each half of the rows has that of the other half."""
    described = Target.model_validate(target)
    temperature, tempered = _temper(described, truth, outputs, units, seed=seed)
    if described.encoding == "multi_hot":
        return Labelled(described.labels, truth > 0, tempered.astype(np.float64), True, temperature)
    classes, said = unfold(described, truth, tempered)
    given = classes[:, None] == np.arange(len(described.labels))
    return Labelled(described.labels, given, said, False, temperature)


def _temper(
    target: Target, truth: np.ndarray, outputs: np.ndarray, units: np.ndarray, *, seed: int
) -> tuple[float, np.ndarray]:
    """The temperature of all rows, and the outputs by those of the other half; untouched where rows are too few."""
    is_softmax, half = target.encoding == "one_hot", calibration.halves(units, seed=seed)

    def fit(chosen: np.ndarray) -> float:
        true, said = truth[chosen], outputs[chosen]
        if not is_softmax:
            # One for all labels: by itself a rare one has too few rows to tell.
            true, said = true.reshape(-1, 1), said.reshape(-1, 1)
        return calibration.fit(true, said, is_softmax=is_softmax)[0]

    def choose(chosen: np.ndarray) -> calibration.Chosen:
        found = fit(chosen)
        return lambda values: calibration.scaled(values, [found], is_softmax=is_softmax)

    if half is None:
        return 1.0, outputs
    return fit(np.ones(len(truth), bool)), calibration.crossed(half, outputs, choose)
