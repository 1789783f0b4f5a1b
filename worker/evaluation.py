"""Judges a trained network and simpler models on the very same held-out rows, by the same metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.table_params import TableTraining
from worker import baselines, forward
from worker.kinds.protocol import Kind, Prepared
from worker.networks import NetworkSpec

Json = dict[str, Any]


def judge(
    kind: Kind,
    prepared: Prepared,
    network: NetworkSpec,
    weights: dict[str, np.ndarray],
    params: TableTraining,
    *,
    check: Callable[[], None],
) -> tuple[Json, Json]:
    """The network's metrics and those of each baseline; on the training rows, and named so, without validation."""
    part, held_out = ("validation", prepared.validation) if prepared.validation else ("training", prepared.train)
    outputs = forward.compile(network, weights)(held_out.x)
    metrics = {part: kind.metrics.evaluate(prepared.target, held_out.y, outputs)}
    if not params.baselines:
        return metrics, {}
    rivals = baselines.fit(prepared.task, prepared.train, held_out.x, seed=params.seed, check=check)
    judged = {name: _judge(kind, prepared, held_out.y, rival) for name, rival in rivals.items()}
    return metrics, {part: judged}


def _judge(kind: Kind, prepared: Prepared, truth: np.ndarray, rival: baselines.Baseline) -> Json:
    said = kind.metrics.evaluate(prepared.target, truth, rival.outputs)
    return said if rival.note is None else {**said, "note": rival.note}
