"""Judges a trained network and simpler models on the very same held-out rows, by the same metrics."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from shared.table_params import TableTraining
from worker import baselines, crops, forward, fronts, resampling
from worker.baselines import Baseline
from worker.kinds.protocol import Kind, Prepared, Settled
from worker.networks import NetworkSpec

Json = dict[str, Any]


def answers(network: NetworkSpec, weights: dict[str, np.ndarray], prepared: Prepared) -> np.ndarray:
    """The network's outputs for the examples that were held out, or for those of the training without any."""
    return _compile(network, weights)((prepared.validation or prepared.train).x)


def settle(kind: Kind, prepared: Prepared, outputs: np.ndarray, params: TableTraining) -> Settled:
    """What the held-out rows teach beside the network, of the kinds that learn such; from the network's `answers`."""
    rows = by_row(prepared, outputs)
    if kind.certainty is None:
        return Settled(prepared.target, rows, {}, [])
    if prepared.validation is None:
        none = rows[:0]
        settled = kind.certainty.settle(prepared.target, none, none, np.arange(0), params)
        return replace(settled, outputs=rows)
    truth = by_row(prepared, prepared.validation.y)
    return kind.certainty.settle(prepared.target, truth, rows, units_of_rows(prepared, len(rows)), params)


def judge(
    kind: Kind,
    prepared: Prepared,
    outputs: np.ndarray,
    params: TableTraining,
    *,
    settled: Settled | None = None,
    check: Callable[[], None],
    part: str = "validation",
) -> tuple[Json, Json]:
    """The metrics of a network's `answers` and those of each baseline; named after the rows that they are about.

    Of what is held out the name is `part`; where nothing is, the rows that trained are judged, and named so. With
    `settled` its rows are judged instead, and what it tells stands beside them.
    """
    part, held_out = (part, prepared.validation) if prepared.validation else ("training", prepared.train)
    judge_rows = partial(_judge_rows, kind, prepared, held_out.y, seed=params.seed, check=check)
    said = Settled(prepared.target, by_row(prepared, outputs), {}, []) if settled is None else settled
    metrics = {part: {**judge_rows(said.outputs), **said.told}}
    if prepared.is_pooled and part == "validation":
        # A track's segments are heard together, or the interval would be that of as many tracks.
        metrics["segments"] = with_intervals(
            kind, prepared.target, held_out.y, outputs, _units(prepared), seed=params.seed, check=check
        )
    if not params.baselines:
        return metrics, {}
    rivals = simpler(prepared, held_out.x, params, check=check)
    return metrics, {part: judge_simpler(kind, prepared, rivals, params, check=check)}


def simpler(
    prepared: Prepared, x: np.ndarray, params: TableTraining, *, check: Callable[[], None]
) -> dict[str, Baseline]:
    """What simpler models that learn from the same rows answer for `x`."""
    train = replace(prepared.train, x=_plain(prepared.train.x))
    return baselines.fit(prepared.task, train, _plain(x), seed=params.seed, check=check)


def judge_simpler(
    kind: Kind,
    prepared: Prepared,
    rivals: Mapping[str, Baseline],
    params: TableTraining,
    *,
    check: Callable[[], None],
) -> Json:
    """The metrics of each simpler model on what was held out, or on what trained without any."""
    truth = (prepared.validation or prepared.train).y
    judge_rows = partial(_judge_rows, kind, prepared, truth, seed=params.seed, check=check)
    return {name: _noted(judge_rows(by_row(prepared, rival.outputs)), rival) for name, rival in rivals.items()}


def _compile(network: NetworkSpec, weights: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    dense = forward.compile(network, weights)
    if network.front is None:
        return dense
    front = fronts.compile(network.front, weights)
    return lambda x: dense(front(x))


def _plain(x: np.ndarray) -> np.ndarray:
    """What simpler models are given: of a spectrogram, how loud each band is and how much that changes."""
    return crops.over_time(x) if x.ndim > 2 else x


def _noted(said: Json, rival: Baseline) -> Json:
    return said if rival.note is None else {**said, "note": rival.note}


def _judge_rows(
    kind: Kind, prepared: Prepared, truth: np.ndarray, outputs: np.ndarray, *, seed: int, check: Callable[[], None]
) -> Json:
    """Of outputs that are of rows already."""
    true = by_row(prepared, truth)
    units = units_of_rows(prepared, len(true))
    return with_intervals(kind, prepared.target, true, outputs, units, seed=seed, check=check)


def with_intervals(
    kind: Kind,
    target: Json,
    truth: np.ndarray,
    outputs: np.ndarray,
    units: np.ndarray,
    *,
    seed: int,
    check: Callable[[], None],
) -> Json:
    """Metrics of the kind, and how far each would move if as many units were drawn again."""
    metrics = kind.metrics.evaluate(target, truth, outputs)
    weighted = kind.metrics.resampled(target, truth, outputs)
    for name, interval in resampling.intervals(weighted, units, seed=seed, check=check).items():
        if metrics[name]["value"] is not None:
            metrics[name]["interval"] = interval
    return metrics


def rows_judged(prepared: Prepared) -> np.ndarray:
    """The number of each row that was held out, in the order in which they are judged, (rows,)."""
    return np.unique(prepared.validation_rows) if prepared.is_pooled else prepared.validation_rows


def units_of_rows(prepared: Prepared, rows: int) -> np.ndarray:
    """Which rows that are judged belong together, (rows,)."""
    if prepared.validation_groups is None or prepared.validation is None:
        return np.arange(rows)
    if not prepared.is_pooled:
        return prepared.validation_groups
    _, first = np.unique(prepared.validation_rows, return_index=True)
    return prepared.validation_groups[first]


def _units(prepared: Prepared) -> np.ndarray:
    """The same of examples, of which a row has several."""
    return prepared.validation_rows if prepared.validation_groups is None else prepared.validation_groups


def by_row(prepared: Prepared, values: np.ndarray) -> np.ndarray:
    """The mean of what was held out over the examples of a row, where a row is many (examples, …) to (rows, …)."""
    return pool(values, prepared.validation_rows) if prepared.is_pooled and prepared.validation else values


def pool(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of the values of each row, in the order of the rows; (examples, outputs) to (rows, outputs)."""
    _, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]), np.float64)
    np.add.at(sums, places, values)
    return (sums / counts[:, None]).astype(values.dtype)
