"""What the same network would seem to come to on a random split: beside the honest figure, to show what a group is for.

Rows of one group stand on both sides there, so the figure flatters, and nothing is ever chosen by it.
"""

from typing import Any

from shared.table_params import TableTraining
from worker import cross_validation, evaluation
from worker.cross_validation import Describe, Make
from worker.desk import Desk
from worker.kinds.protocol import Kind, Prepared

Json = dict[str, Any]

# Rows times epochs at most times parameters: a few thousand rows through a small network, some seconds.
CHEAP = 20_000_000_000


def is_wanted(params: TableTraining, prepared: Prepared, *, parameters: int, is_table: bool) -> bool:
    """Whether the comparison is asked for, or costs little and nobody said anything."""
    if prepared.validation_groups is None or params.validation_split is not None or params.time is not None:
        return False
    if params.compare_random_split is not None:
        return params.compare_random_split
    if not is_table or params.folds is not None:
        return False
    return len(prepared.train.x) * params.epochs_at_most * parameters <= CHEAP


def judge(desk: Desk, kind: Kind, make: Make, describe: Describe, params: TableTraining) -> Json:
    """The metrics of a network on a random split of the same sizes; empty where the client ended the training."""
    desk.enter("comparing")
    prepared = make(at_random=True, fold=0 if params.folds else None)
    fitted = cross_validation.fit_aside(desk, prepared, describe, params, done=0, total=1)
    if fitted.stopped_by in ("cancel", "budget"):
        return {}
    outputs = evaluation.answers(describe(prepared)[0], fitted.weights, prepared)
    plain = params.model_copy(update={"baselines": False})
    judged, _ = evaluation.judge(kind, prepared, outputs, plain, check=desk.check)
    return {"random_split": judged["validation"]}
