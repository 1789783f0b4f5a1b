"""Why a row is answered as it is: what each column adds, what would have to change, and which known rows are near."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import JobFailed
from shared.networks import measure
from shared.table_params import RowExplanation
from worker import attribution, counterfactuals, nearest_examples, slopes
from worker.artifacts import Model
from worker.attribution import Attributions, Readout
from worker.counterfactuals import Space
from worker.features import Feature, Number
from worker.importance import blocks
from worker.input_statistics import InputStatistics
from worker.nearest_examples import Examples
from worker.networks import NetworkSpec
from worker.predictions import Answer, Scorer
from worker.slopes import Backward

# Rows that are explained together.
AT_ONCE = 1024
# Multiplications of a chunk at most, so that a large network's chunk takes a minute or so: nothing moves meanwhile.
CHUNK_WORK, CHUNK_ROWS = 1e12, 4096
# Forward, and twice as much backward.
PASSES = 3

Json = dict[str, Any]


@runtime_checkable
class Explained(Protocol):
    """What a kind's scorer says of its answers, so that they can be explained; a kind may leave it out."""

    def readouts(self, outputs: np.ndarray) -> Sequence[Readout]:
        """The numbers that a row's answer (rows, outputs) consists of: one, or one for each label or target."""

    def beyond(self, before: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How far outputs (rows, outputs) are beyond the answer `before` (outputs,): above 0 they say another thing."""


@dataclass(frozen=True)
class Explainer:
    """A model made ready to explain its answers."""

    scorer: Scorer
    kind: Explained
    backward: Backward
    baseline: np.ndarray  # (inputs,)
    asked: RowExplanation
    statistics: InputStatistics | None
    examples: Examples | None

    def explain(self, x: np.ndarray, outputs: np.ndarray, cells: Mapping[str, pa.Array]) -> pa.Array:
        """JSON for each row (rows,), large_string; `cells` are the rows as the client has them. Null: no finite one."""
        said = list[str | None]()
        for first in range(0, len(x), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            named = {name: column.slice(first, AT_ONCE) for name, column in cells.items()}
            said += self._explain(x[some], outputs[some], named)
        return pa.array(said, pa.large_string())

    def _explain(self, x: np.ndarray, outputs: np.ndarray, cells: Mapping[str, pa.Array]) -> list[str | None]:
        readouts = self.kind.readouts(outputs)
        found = [self._attribute(x, readout) for readout in readouts]
        told = [_told(self.scorer.features, *each, cells, self.asked.top) for each in zip(found, readouts, strict=True)]
        rows: list[Json | None] = [_joined(each) for each in zip(*told, strict=True)]
        for name, answers in self._beside(x, outputs, readouts[0], cells).items():
            for row, answer in zip(rows, answers, strict=True):
                if row is not None:
                    row[name] = answer
        return [None if row is None else json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows]

    def _attribute(self, x: np.ndarray, readout: Readout) -> Attributions:
        return attribution.attribute(self.scorer.network, self.backward, x, self.baseline, readout)

    def _beside(
        self, x: np.ndarray, outputs: np.ndarray, readout: Readout, cells: Mapping[str, pa.Array]
    ) -> dict[str, list[Any]]:
        """What else was asked for, by its name, one a row."""
        beside = dict[str, list[Any]]()
        if self.asked.change is not None and self.statistics is not None:
            beside["counterfactual"] = self._counterfactuals(x, outputs, readout, cells, self.statistics)
        if self.examples is not None and self.statistics is not None:
            beside["nearest"] = self._nearest(x, self.examples, self.statistics)
        return beside

    def _nearest(self, x: np.ndarray, examples: Examples, statistics: InputStatistics) -> list[list[Json]]:
        placed = nearest_examples.standardise(self.scorer.features, statistics, x)
        found, distances = nearest_examples.find(examples, placed, self.asked.nearest)
        return [
            [
                {"key": json.loads(examples.keys[place]), "distance": _rounded(away),
                 "label": json.loads(examples.labels[place])}
                for place, away in zip(places, far, strict=True)
            ]
            for places, far in zip(found.tolist(), distances.tolist(), strict=True)
        ]  # fmt: skip

    def _counterfactuals(
        self,
        x: np.ndarray,
        outputs: np.ndarray,
        readout: Readout,
        cells: Mapping[str, pa.Array],
        statistics: InputStatistics,
    ) -> list[Json | None]:
        with np.errstate(all="ignore"):
            steep = self.backward.slopes(np.ascontiguousarray(x), readout.weights)
        numbers = _free(self.scorer.features, self.asked)
        missing = {name: pc.is_null(cells[name], nan_is_null=True).to_numpy(zero_copy_only=False) for name in numbers}
        found = list[Json | None]()
        for row in range(len(x)):
            free = {name: each for name, each in numbers.items() if not missing[name][row]}
            one = {name: column[row].as_py() for name, column in cells.items() if name in free}
            found.append(self._counterfactual(x[row], outputs[row], steep[row], free, one, statistics))
        return found

    def _counterfactual(
        self,
        row: np.ndarray,
        outputs: np.ndarray,
        steep: np.ndarray,
        free: Mapping[str, tuple[int, Number]],
        cells: Json,
        statistics: InputStatistics,
    ) -> Json | None:
        """The least change of these columns that was found; None for none."""
        places = np.array([place for place, _ in free.values()], np.int64)
        space = Space(places, statistics.low[places], statistics.high[places], statistics.deviation[places])
        beyond = partial(self.kind.beyond, outputs)
        changes = counterfactuals.find(self.backward.outputs, row, steep, space, beyond) if free else []
        if not changes:
            return None
        column = {place: (name, feature) for name, (place, feature) in free.items()}
        exact = {change.place: _in_units(change.value, column[change.place][1]) for change in changes}
        # Six digits are read more easily, and may fall short of the border.
        for values in ({place: _rounded(value) for place, value in exact.items()}, exact):
            point = row.copy()
            for place, value in values.items():
                point[place] = (value - column[place][1].mean) / column[place][1].scale
            answer = self.scorer.network(point[None])
            if float(beyond(answer)[0]) > 0:
                away = np.abs(point - row) / statistics.deviation
                named = [
                    {"column": column[place][0], "from": cells[column[place][0]], "to": value}
                    for place, value in values.items()
                ]
                (said,) = predicted(self.scorer.answer(answer))
                return {"changes": named, "distance": _rounded(float(away.sum())), "prediction": said}
        return None


def open(model: Model, scorer: Scorer, asked: RowExplanation, *, examples: Examples | None) -> Explainer:
    """Make a model ready to explain. Raises JobFailed (explanation_unkept) where its kind says nothing of its answers.

    What is asked for and was not kept is refused before (shared/explanation.py).
    """
    if not isinstance(scorer, Explained):
        raise JobFailed(f"Answers of {model.kind} cannot be explained: ask without it.", code="explanation_unkept")
    inputs = model.inputs
    baseline = np.zeros(model.network.inputs, np.float32) if inputs is None else inputs.mean
    backward = slopes.compile(model.network, model.weights)
    return Explainer(scorer, scorer, backward, baseline, asked, inputs, examples if asked.nearest else None)


def chunk_rows(network: NetworkSpec) -> int:
    """Rows of a chunk whose answers are explained."""
    size = measure(network.hidden, inputs=network.inputs, outputs=network.outputs, batch_size=1)
    work = attribution.FIRST_STEPS * PASSES * size.multiplications
    return int(min(CHUNK_ROWS, max(1, CHUNK_WORK // work)))


def predicted(answer: Answer) -> list[Any]:  # Any: what a kind predicts
    """The prediction of each row, as it stands in JSON."""
    field = answer.fields["prediction"]
    if not isinstance(field, Mapping):
        rows: list[Any] = field.to_pylist()
        return rows
    return [
        dict(zip(field, row, strict=True)) for row in zip(*(array.to_pylist() for array in field.values()), strict=True)
    ]


def _told(
    features: Sequence[Feature], found: Attributions, readout: Readout, cells: Mapping[str, pa.Array], top: int
) -> list[Json | None]:
    """Each row's attributions, summed over the inputs that a column has made."""
    starts = [block.start for _, block in blocks(features)]
    added = np.add.reduceat(found.added, starts, axis=1)
    is_finite = np.isfinite(added).all(axis=1) & np.isfinite(found.errors) & np.isfinite(found.before + found.after)
    order = np.argsort(-np.abs(added), axis=1, kind="stable")[:, :top]
    return [
        {
            "of": readout.names[row],
            "baseline_prediction": _rounded(found.before[row]),
            "prediction": _rounded(found.after[row]),
            "attributions": [
                {
                    "column": features[place].name,
                    "value": _cell(cells[features[place].name][row].as_py()),
                    "attribution": _rounded(added[row, place]),
                }
                for place in order[row].tolist()
            ],
            "rest": _rounded(added[row].sum() - added[row, order[row]].sum()),
            "completeness_error": _rounded(found.errors[row]),
            "steps": int(found.steps[row]),
        }
        if is_finite[row]
        else None
        for row in range(len(added))
    ]


def _joined(each: Sequence[Json | None]) -> Json | None:
    """One object a row: of one number its own, of several labels or targets a list of theirs."""
    known = [one for one in each if one is not None]
    if len(each) == 1:
        return each[0]
    return {"each": known} if known else None


def _free(features: Sequence[Feature], asked: RowExplanation) -> dict[str, tuple[int, Number]]:
    """The numeric columns that may change, with their places in the matrix."""
    fixed = set() if asked.change is None else set(asked.change.fixed)
    return {
        feature.name: (block.start, feature)
        for feature, block in blocks(features)
        if isinstance(feature, Number) and feature.name not in fixed
    }


def _in_units(value: float, feature: Number) -> float:
    return value * feature.scale + feature.mean


def _cell(value: Any) -> Any:  # Any: a cell of the client's table
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value: float) -> float:
    """Six digits: more are below what single precision knows."""
    return float(f"{value:.6g}")
