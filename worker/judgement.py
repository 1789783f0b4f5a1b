"""All that a model version is judged by: what was held out, the test, each value of a column, a random split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.table_params import TableTraining
from worker import evaluation, per_group, tables
from worker.cross_validation import Crossed
from worker.kinds.protocol import Kind, Prepared
from worker.networks import NetworkSpec

Json = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """The figures, and the examples with the answers that the first of them are about."""

    prepared: Prepared
    outputs: np.ndarray
    metrics: Json
    baselines: Json


def judge(
    kind: Kind,
    prepared: Prepared,
    model: tuple[NetworkSpec, dict[str, np.ndarray]],
    params: TableTraining,
    *,
    crossed: Crossed | None,
    check: Callable[[], None],
) -> Judged:
    """Judge on what was held out, or out of fold, and then on the test, where there is one."""
    if crossed is None:
        outputs = evaluation.answers(*model, prepared)
        metrics, baselines = evaluation.judge(kind, prepared, outputs, params, check=check)
    else:
        prepared, outputs = crossed.prepared, crossed.outputs
        plain = params.model_copy(update={"baselines": False})
        metrics, _ = evaluation.judge(kind, prepared, outputs, plain, check=check)
        metrics["folds"] = crossed.folds
        rivals = evaluation.judge_simpler(kind, prepared, crossed.rivals, params, check=check)
        baselines = {"validation": rivals} if rivals else {}
    if prepared.test is not None:
        tested = prepared.on_test()
        said = evaluation.judge(kind, tested, evaluation.answers(*model, tested), params, check=check, part="test")
        metrics, baselines = {**metrics, **said[0]}, {**baselines, **said[1]}
    return Judged(prepared, outputs, metrics, baselines)


def by_columns(
    kind: Kind,
    judged: Judged,
    paths: Sequence[Path],
    params: TableTraining,
    directions: dict[str, str],
    *,
    check: Callable[[], None],
) -> Json:
    """The figures of each value of the columns that the params name; empty without any, or without held-out rows."""
    if not params.report_by or judged.prepared.validation is None:
        return {}
    columns = tables.read(paths, params.report_by)
    groups = per_group.judge(kind, judged.prepared, judged.outputs, columns, directions, seed=params.seed, check=check)
    return {"per_group": groups}
