"""What a kind is: four modules with these functions, found by the name of their folder.

A training calls data.load, data.prepare, model.describe, (fit,) metrics.evaluate; a scoring calls predict.open; the
gate of a promotion calls predict.open, metrics.translate, metrics.evaluate.
The target is the kind's own JSON: made by data.prepare, stored with the model, read by metrics and predict.
Outputs are always the network's own: probabilities for classes, numbers in the units that it was trained in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from worker.artifacts import Model
from worker.baselines import Task
from worker.cautions import Caution
from worker.features import Feature
from worker.networks import NetworkSpec
from worker.predictions import Scorer
from worker.preparation import Examples, Profile
from worker.resampling import Weighted
from worker.tables import Column
from worker.training import Objective, Table

Json = dict[str, Any]
Params = Any  # the kind's own TrainParams, from shared/kinds


@dataclass(frozen=True)
class Prepared:
    """All that a training needs, and what a model version says of where it came from."""

    train: Table
    validation: Table | None
    features: tuple[Feature, ...]
    target: Json
    task: Task
    split: Json
    train_rows: np.ndarray  # row numbers in the dataset
    validation_rows: np.ndarray
    cautions: list[Caution]
    # Which of the validation rows belong together, as those of one artist; None: each stands for itself.
    validation_groups: np.ndarray | None = None
    # Several examples of one row are judged as one: their outputs are averaged.
    is_pooled: bool = False
    # What neither trains nor chooses; None: nothing was held out for it.
    test: Table | None = None
    test_rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    test_groups: np.ndarray | None = None
    train_groups: np.ndarray | None = None
    # What was looked for on both sides of the split, and what was found: worker/leakage_report.py.
    leakage: Json = field(default_factory=dict)

    def on_test(self) -> "Prepared":
        """The same with the test in the place of the validation, to be judged by the same steps."""
        return replace(self, validation=self.test, validation_rows=self.test_rows, validation_groups=self.test_groups)


@dataclass(frozen=True)
class Settled:
    """A target with what held-out rows taught beside the network: how sure it is, and when it says something.

    `outputs` (rows, outputs) are those by which the version is judged, `told` stands beside its metrics.
    """

    target: Json
    outputs: np.ndarray
    told: Json
    cautions: list[Caution]


@dataclass(frozen=True)
class Known:
    """The truth of some rows (rows, outputs), and the target by which each version is judged by it."""

    truth: np.ndarray
    targets: list[Json]
    cautions: list[Caution]


@dataclass(frozen=True)
class Labelled:
    """Which labels rows were given, bool (rows, labels), and how likely models that have not seen them find each.

    `said` is float64 (rows, labels), at one temperature that was chosen by other rows; `temperature` is that of all.
    """

    names: tuple[str, ...]
    given: np.ndarray
    said: np.ndarray
    # A row may have any number of labels, and each is judged by itself; otherwise it has one.
    has_several: bool
    temperature: float


class Data(Protocol):
    def load(self, paths: Sequence[Path], profile: Profile, params: Params) -> Examples:
        """Read the table. Raises JobFailed when it cannot be learned from, with every place."""

    def prepare(self, examples: Examples, params: Params) -> Prepared:
        """Split, learn the preprocessing on the training rows, make matrices. Raises JobFailed."""


class Network(Protocol):
    def describe(self, prepared: Prepared, params: Params) -> tuple[NetworkSpec, Objective]:
        """The network that the params ask for, and what it minimises."""


class Metrics(Protocol):
    def evaluate(self, target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
        """Metrics of outputs against the truth, both (rows, outputs): `{name: {"value", "interval"}}` and extras."""

    def resampled(self, target: Json, truth: np.ndarray, outputs: np.ndarray) -> Weighted:
        """The same metrics of rows that count so many times each, for their intervals."""

    def translate(self, target: Json, other: Json, outputs: np.ndarray) -> np.ndarray:
        """Outputs of a model that learned `other`, as one that learned `target` would say the same.

        Raises NotAllowedNow (gate_refused) when it answers another question.
        """


class Predict(Protocol):
    def open(self, model: Model) -> Scorer:
        """Make a model ready to score."""


class Certainty(Protocol):
    def settle(
        self, target: Json, truth: np.ndarray, outputs: np.ndarray, units: np.ndarray, params: Params
    ) -> Settled:
        """What held-out rows teach beside the network; without any, what can be said without."""

    def fold(self, model: Model) -> Model:
        """The model whose network says by itself what it says with its target's temperatures."""


class Truth(Protocol):
    def columns(self, targets: Sequence[Json]) -> list[str]:
        """The columns in which the truth stands. Raises JobFailed when the versions answer different questions."""

    def read(self, cells: Mapping[str, Column], targets: Sequence[Json]) -> Known:
        """The truth of rows in which no cell is missing. Raises JobFailed."""

    def tell(self, target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
        """What stands beside the metrics of an evaluation."""

    def right(self, target: Json, truth: np.ndarray, outputs: np.ndarray) -> np.ndarray | None:
        """Which rows are right, bool (rows,); None where nothing is right or wrong."""


class Labels(Protocol):
    def read(self, target: Json, truth: np.ndarray, outputs: np.ndarray, units: np.ndarray, *, seed: int) -> Labelled:
        """The labels of rows and what is said of them out of fold, both (rows, outputs)."""


@dataclass(frozen=True)
class Kind:
    """One kind's four modules, and those that it may do without."""

    data: Data
    model: Network
    metrics: Metrics
    predict: Predict
    certainty: Certainty | None = None
    # Of a kind that has the action `evaluate`.
    truth: Truth | None = None
    # Of a kind that has the action `audit`.
    labels: Labels | None = None
