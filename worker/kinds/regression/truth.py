"""What is true of the rows of another dataset, as versions that learned these numbers are judged by it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.errors import Fault, JobFailed
from worker import preparation
from worker.features import numbers
from worker.kinds.protocol import Known
from worker.kinds.regression.data import Target
from worker.preparation import listed
from worker.tables import Column

Json = dict[str, Any]


def columns(targets: Sequence[Json]) -> list[str]:
    """The columns in which the truth stands. Raises JobFailed (against_unlike) where another predicts less."""
    first, *others = [Target.model_validate(each) for each in targets]
    absent = [name for other in others for name in first.columns if name not in other.columns]
    if absent:
        said = f"expected a version that predicts {listed(absent)}, too"
        raise JobFailed(
            f"The two cannot be compared: {said}.",
            code="against_unlike",
            faults=[Fault(said, pointer="/params/against")],
        )
    return list(first.columns)


def read(cells: Mapping[str, Column], targets: Sequence[Json]) -> Known:
    """The truth in the units of the first target, by which all are judged. Raises JobFailed."""
    first = Target.model_validate(targets[0])
    read, unreadable = zip(*(numbers(cells[name]) for name in first.columns), strict=True)
    beyond = [
        name
        for name, values, words in zip(first.columns, read, unreadable, strict=True)
        if (words is not None and words.any()) or preparation.is_beyond(values).any() or not np.isfinite(values).all()
    ]
    if beyond:
        said = f"expected numbers in {listed(beyond)}, which the version predicts"
        faults = [Fault("expected a finite number in every cell", column=name) for name in beyond]
        raise JobFailed(f"The truth cannot be read: {said}.", code="target_not_numeric", faults=faults)
    y = (np.stack(read, axis=1) - np.array(first.mean)) / np.array(first.scale)
    return Known(y, [targets[0]] * len(targets), [])


def tell(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
    """Nothing stands beside the metrics."""
    return {}


def right(target: Json, truth: np.ndarray, outputs: np.ndarray) -> None:
    """A number is no more right than another that is as near: there are no rows to count."""
    return
