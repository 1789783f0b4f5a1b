"""All that a model version is judged by: what was held out, the test, each value of a column, a random split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.table_params import TableTraining
from worker import evaluation, per_group, tables
from worker.cautions import Caution
from worker.cross_validation import Crossed
from worker.kinds.protocol import Kind, Prepared, Settled
from worker.networks import NetworkSpec

Json = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """The figures, and the examples with the answers that the first of them are about.

    `target` has what the held-out rows taught beside the network. `rows` (rows, outputs) are the answers by which the
    version is compared with others, those of the test where there is one, about what `judged_on` has held out.
    """

    prepared: Prepared
    outputs: np.ndarray
    metrics: Json
    baselines: Json
    target: Json
    judged_on: Prepared
    rows: np.ndarray
    cautions: list[Caution]


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
        settled = evaluation.settle(kind, prepared, outputs, params)
        metrics, baselines = evaluation.judge(kind, prepared, outputs, params, settled=settled, check=check)
    else:
        prepared, outputs = crossed.prepared, crossed.outputs
        settled = evaluation.settle(kind, prepared, outputs, params)
        plain = params.model_copy(update={"baselines": False})
        metrics, _ = evaluation.judge(kind, prepared, outputs, plain, settled=settled, check=check)
        metrics["folds"] = crossed.folds
        rivals = evaluation.judge_simpler(kind, prepared, crossed.rivals, params, check=check)
        baselines = {"validation": rivals} if rivals else {}
    judged_on, rows = prepared, settled.outputs
    if prepared.test is not None:
        judged_on = prepared.on_test()
        rows = _as_settled(kind, judged_on, settled.target, evaluation.answers(*model, judged_on))
        tested = Settled(prepared.target, rows, {}, [])
        said = evaluation.judge(kind, judged_on, rows, params, settled=tested, check=check, part="test")
        metrics, baselines = {**metrics, **said[0]}, {**baselines, **said[1]}
    return Judged(prepared, outputs, metrics, baselines, settled.target, judged_on, rows, settled.cautions)


def _as_settled(kind: Kind, prepared: Prepared, target: Json, outputs: np.ndarray) -> np.ndarray:
    """The network's answers as a scoring would say them, with what was learned beside it; a row each."""
    return kind.metrics.translate(prepared.target, target, evaluation.by_row(prepared, outputs))


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
