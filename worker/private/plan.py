"""What a private training will do, before its first step: its units, how they are drawn, how much noise is added."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shared.errors import Fault, JobFailed
from shared.privacy_params import PrivateSteps, Unit
from shared.table_params import TableTraining
from worker.private import accounting, units
from worker.private.units import Units

# The usual delta: a tenth of the chance that one unit of all is told in full.
DELTA_SHARE = 0.1
FEWEST_UNITS = 2


@dataclass(frozen=True)
class Plan:
    """How the steps of a training are taken."""

    units: Units
    unit: Unit | Literal["listener", "recording"]
    batch: float
    sampling: float
    steps_an_epoch: int
    epochs: int
    clip_norm: float
    noise_multiplier: float
    delta: float
    seed: int | None

    def steps(self, epochs: int) -> int:
        """Of so many epochs."""
        return epochs * self.steps_an_epoch

    def epsilon(self, epochs: int) -> float:
        """What that many epochs have come to."""
        return accounting.epsilon(
            self.noise_multiplier, sampling=self.sampling, steps=self.steps(epochs), delta=self.delta
        )


# What is asked of training rows beside the network, or learned from held-out ones: a private training goes without.
WITHOUT = {"baselines": False, "importance": False, "keep_examples": False, "compare_random_split": False,
           "calibration": "none"}  # fmt: skip


def settled(params: Any, *, is_table: bool) -> Any:  # Any: the kind's own
    """The params as they are carried out, without what a private training has not."""
    if params.privacy is None:
        return params
    changed = {name: value for name, value in WITHOUT.items() if hasattr(params, name)}
    if not is_table:
        # What an embedding is like, nobody has declared.
        changed["preprocess"] = "none"
    return params.model_copy(update=changed)


def of(params: TableTraining, rows: np.ndarray, groups: np.ndarray | None) -> Plan | None:
    """The plan of a training that asks for privacy; None of any other. Raises JobFailed."""
    return None if params.privacy is None else make(params, rows, groups)


def make(params: TableTraining, rows: np.ndarray, groups: np.ndarray | None) -> Plan:
    """The plan for training examples of these rows, and groups where something groups them. Raises JobFailed."""
    asked = params.privacy
    assert asked is not None
    unit = asked.unit or ("row" if groups is None else "group")
    if unit == "group" and groups is None:
        raise _misfit("unit", "expected unit row: nothing groups the rows of this dataset", code="group_missing")
    codes = rows if unit == "row" or groups is None else groups
    found = units.gather(codes, at_most=asked.examples_per_unit)
    return settle(asked, found, unit, batch=_batch(params, len(found)), epochs=params.epochs_at_most)


def settle(asked: PrivateSteps, found: Units, unit: Unit | Literal["listener"], *, batch: int, epochs: int) -> Plan:
    """The plan for these units, so many of which are drawn in a step on average. Raises JobFailed."""
    count = len(found)
    if count < FEWEST_UNITS:
        said = f"expected at least {FEWEST_UNITS} {unit}s to train on, received {count}: one cannot hide among others"
        raise _misfit("unit", said, code="too_few_rows")
    delta = DELTA_SHARE / count if asked.delta is None else asked.delta
    if delta * count >= 1:
        said = f"expected a delta below 1/{count}, of {count} {unit}s, received {delta:g}: it would tell one in full"
        raise _misfit("delta", said, code="privacy_misfit")
    sampling, steps = batch / count, math.ceil(count / batch)
    noise = asked.noise_multiplier or _noise(asked, sampling, steps * epochs, delta)
    return Plan(found, unit, batch, sampling, steps, epochs, asked.clip_norm, noise, delta, asked.noise_seed)


def _noise(asked: PrivateSteps, sampling: float, steps: int, delta: float) -> float:
    assert asked.epsilon is not None
    return accounting.noise_multiplier(asked.epsilon, sampling=sampling, steps=steps, delta=delta)


def _batch(params: TableTraining, count: int) -> int:
    if params.optimizer == "gradient_descent":
        return count
    if params.batch_size <= count:
        return params.batch_size
    said = f"expected at most the {count} units that train in a step, received {params.batch_size}"
    fault = Fault(said, pointer="/params/batch_size")
    raise JobFailed(f"The batch is larger than all: {said}.", code="privacy_misfit", faults=[fault])


def _misfit(field: str, said: str, *, code: str) -> JobFailed:
    fault = Fault(said, pointer=f"/params/privacy/{field}")
    return JobFailed(f"Private training does not fit the data: {said}.", code=code, faults=[fault])
