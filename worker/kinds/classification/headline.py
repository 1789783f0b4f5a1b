"""The first metric of a classification by itself: importance asks for it hundreds of times."""

from typing import Any

import numpy as np

from worker.kinds.classification.answers import probabilities_of
from worker.kinds.classification.data import Target

Json = dict[str, Any]


def headline(target: Json, truth: np.ndarray, outputs: np.ndarray) -> float | None:
    """The accuracy that `metrics.evaluate` tells."""
    described = Target.model_validate(target)
    if described.encoding == "multi_hot":
        return float(((truth > 0) == (outputs.astype(np.float64) >= 0.5)).all(axis=1).mean())
    classes = truth[:, 0] if described.encoding == "binary" else truth.argmax(axis=1)
    return float((probabilities_of(described, outputs).argmax(axis=1) == classes).mean())
