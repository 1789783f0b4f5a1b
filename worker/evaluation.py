"""Judges a trained network and simpler models on the very same held-out rows, by the same metrics."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from shared.table_params import TableTraining
from worker import baselines, crops, forward, fronts
from worker.kinds.protocol import Kind, Prepared
from worker.networks import NetworkSpec

Json = dict[str, Any]


def answers(network: NetworkSpec, weights: dict[str, np.ndarray], prepared: Prepared) -> np.ndarray:
    """The network's outputs for the examples that were held out, or for those of the training without any."""
    return _compile(network, weights)((prepared.validation or prepared.train).x)


def judge(
    kind: Kind,
    prepared: Prepared,
    outputs: np.ndarray,
    params: TableTraining,
    *,
    check: Callable[[], None],
) -> tuple[Json, Json]:
    """The metrics of a network's `answers` and those of each baseline; named after the rows that they are about."""
    part, held_out = ("validation", prepared.validation) if prepared.validation else ("training", prepared.train)
    metrics = {part: _evaluate(kind, prepared, held_out.y, outputs)}
    if prepared.is_pooled and prepared.validation:
        metrics["segments"] = kind.metrics.evaluate(prepared.target, held_out.y, outputs)
    if not params.baselines:
        return metrics, {}
    train = replace(prepared.train, x=_plain(prepared.train.x))
    rivals = baselines.fit(prepared.task, train, _plain(held_out.x), seed=params.seed, check=check)
    judged = {name: _judge(kind, prepared, held_out.y, rival) for name, rival in rivals.items()}
    return metrics, {part: judged}


def _compile(network: NetworkSpec, weights: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    dense = forward.compile(network, weights)
    if network.front is None:
        return dense
    front = fronts.compile(network.front, weights)
    return lambda x: dense(front(x))


def _plain(x: np.ndarray) -> np.ndarray:
    """What simpler models are given: of a spectrogram, how loud each band is and how much that changes."""
    return crops.over_time(x) if x.ndim > 2 else x


def _judge(kind: Kind, prepared: Prepared, truth: np.ndarray, rival: baselines.Baseline) -> Json:
    said = _evaluate(kind, prepared, truth, rival.outputs)
    return said if rival.note is None else {**said, "note": rival.note}


def _evaluate(kind: Kind, prepared: Prepared, truth: np.ndarray, outputs: np.ndarray) -> Json:
    return kind.metrics.evaluate(prepared.target, by_row(prepared, truth), by_row(prepared, outputs))


def by_row(prepared: Prepared, values: np.ndarray) -> np.ndarray:
    """The mean of what was held out over the examples of a row, where a row is many (examples, …) to (rows, …)."""
    return pool(values, prepared.validation_rows) if prepared.is_pooled and prepared.validation else values


def pool(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of the values of each row, in the order of the rows; (examples, outputs) to (rows, outputs)."""
    _, places, counts = np.unique(rows, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]), np.float64)
    np.add.at(sums, places, values)
    return (sums / counts[:, None]).astype(values.dtype)
