"""What a training on a table keeps and measures so that its model can be explained, and how a scoring gets it back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from shared import models
from shared.errors import JobFailed
from shared.kept_files import EXAMPLES
from shared.kinds import KINDS
from shared.table_params import RowExplanation, TableTraining
from worker import explanations, importance, nearest_examples, slopes
from worker.artifacts import Model
from worker.desk import Desk
from worker.explanations import Explainer
from worker.kinds.protocol import Kind, Prepared
from worker.predictions import Scorer
from worker.training import Table

Json = dict[str, Any]
# From a target, the truth and the outputs to a metric; None where it cannot be told.
Headline = Callable[[Json, np.ndarray, np.ndarray], float | None]


@runtime_checkable
class Quick(Protocol):
    """Metrics of a kind that tell the first of them alone; a kind may leave it out."""

    def headline(self, target: Json, truth: np.ndarray, outputs: np.ndarray) -> float | None:
        """What `evaluate` says of the first metric of the contract."""


def examples(
    model: Model, scorer: Scorer, prepared: Prepared, params: TableTraining, *, paths: Sequence[Path], key: str | None
) -> dict[str, bytes]:
    """The file of training rows that the model keeps; none of recordings, or where that is not wanted."""
    if not params.keep_examples or model.inputs is None or not isinstance(scorer, explanations.Explained):
        return {}
    chosen = nearest_examples.choose(len(prepared.train_rows), inputs=model.network.inputs, seed=params.seed)
    keys = nearest_examples.read_keys(paths, key, prepared.train_rows[chosen])
    labels = explanations.predicted(scorer.answer(prepared.train.y[chosen]))
    places = nearest_examples.standardise(prepared.features, model.inputs, prepared.train.x[chosen])
    return {EXAMPLES: nearest_examples.pack(keys, labels, places)}


def measure_importance(
    kind: Kind, model: Model, prepared: Prepared, params: TableTraining, *, parameters: int, check: Callable[[], None]
) -> dict[str, list[Json]]:
    """`importance` of each column on the held-out rows; nothing where that is not wanted, or costs too much."""
    held_out = _held_out(prepared)
    if not params.importance or model.inputs is None or held_out is None:
        return {}
    columns = len(prepared.features)
    rows = importance.count_rows(len(held_out.x), columns=columns, parameters=parameters)
    if not rows:
        return {}
    metric, direction = next(iter(KINDS[model.kind].METRICS.items()))
    headline = _headline(kind, metric)
    found = importance.measure(
        slopes.compile(model.network, model.weights).outputs,
        held_out.x,
        prepared.features,
        lambda places, outputs: headline(prepared.target, held_out.y[places], outputs),
        rows=rows,
        is_higher_better=direction == "higher",
        seed=params.seed,
        check=check,
    )
    return {"importance": found} if found else {}


def _held_out(prepared: Prepared) -> Table | None:
    """What was held out with its inputs; after folds that is the test alone."""
    validation = prepared.validation
    return validation if validation is None or validation.x.shape[1] else prepared.test


def _headline(kind: Kind, metric: str) -> Headline:
    """The kind's first metric by itself, where it has a way to tell it that is quicker than telling all."""
    if isinstance(kind.metrics, Quick):
        return kind.metrics.headline

    def among_all(target: Json, truth: np.ndarray, outputs: np.ndarray) -> float | None:
        value: float | None = kind.metrics.evaluate(target, truth, outputs)[metric]["value"]
        return value

    return among_all


def fetch(desk: Desk, kind: Kind, model: Model, asked: RowExplanation) -> Explainer:
    """The model ready to explain. Raises JobFailed where its examples have gone since the job was accepted."""
    # Reasons are for the probability that is said.
    model = model if kind.certainty is None else kind.certainty.fold(model)
    scorer = kind.predict.open(model)
    if not asked.nearest:
        return explanations.open(model, scorer, asked, examples=None)
    with desk.database.reading() as sql:
        version = models.find_by_id(sql, desk.claim.version or "")
    file = next((file for file in version.files if file["name"] == EXAMPLES), None)
    if file is None:
        said = "The model's examples went with their dataset: train it again, or ask for no `nearest`."
        raise JobFailed(said, code="explanation_unkept")
    content = desk.get(file["key"], sha256=file["sha256"])
    examples = nearest_examples.unpack(content, inputs=model.network.inputs)
    return explanations.open(model, scorer, asked, examples=examples)
