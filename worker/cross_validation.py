"""Every row is answered once by a network that has not learned from it; the model itself then learns from all rows.

The folds are trained one after another and nothing of them is kept: an attempt that goes on after a break trains them
again, which comes to the same, and takes up the model itself from its checkpoint.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.errors import JobCancelled, JobFailed
from shared.table_params import TableTraining
from worker import evaluation, fold_membership, training
from worker.baselines import Baseline
from worker.callbacks import Checkpoint
from worker.cautions import Caution
from worker.desk import Desk
from worker.fitted import Fitted
from worker.fold_membership import Attacked
from worker.kinds.protocol import Kind, Prepared
from worker.networks import NetworkSpec
from worker.training import Objective, Table

Json = dict[str, Any]
# What divides the examples: `fold=2`, `at_random=True`, or as the params say.
Make = Callable[..., Prepared]
Describe = Callable[[Prepared], tuple[NetworkSpec, Objective]]


class Aside:
    """The Watch of a training that is no model of its own: it is heard and ended, and leaves no checkpoint."""

    def __init__(self, desk: Desk, *, done: int, total: int) -> None:
        self._desk, self._done, self._total = desk, done, total

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        shown = {name: value for name, value in epochs[-1].items() if name != "epoch"}
        self._desk.report_folds(self._done, self._total, metrics=shown)

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None

    def check(self) -> None:
        self._desk.check()

    def is_checkpoint_due(self) -> bool:
        return False

    def save(self, checkpoint: Checkpoint) -> None:
        raise AssertionError("no checkpoint is due")

    def is_enough(self) -> bool:
        return self._desk.is_enough() and self._desk.given is None

    def is_budget_spent(self) -> bool:
        # The model itself is there: without what stands beside it, it could not be published.
        return self._desk.is_budget_spent() and self._desk.given is None


@dataclass(frozen=True)
class Fold:
    """One fold: its examples, what its network and the simpler models answered, and how long it learned."""

    prepared: Prepared
    outputs: np.ndarray
    rivals: Mapping[str, Baseline]
    epochs: int
    # Where it is asked for.
    attacked: Attacked | None


@dataclass(frozen=True)
class Crossed:
    """The examples with all out-of-fold rows in the place of the validation, and the answers to them."""

    prepared: Prepared
    outputs: np.ndarray
    rivals: dict[str, Baseline]
    # The median of what was best in the folds: so long the model itself learns.
    epochs: int
    folds: Json
    cautions: list[Caution]
    # What each fold's network gives away of its rows; empty where nobody asks.
    attacked: list[Attacked]


def run(
    desk: Desk, kind: Kind, whole: Prepared, make: Make, describe: Describe, params: TableTraining, *,
    is_attacked: bool = False,
) -> Crossed:  # fmt: skip
    """Train and answer fold by fold. Raises JobCancelled and JobFailed (budget_too_small): there is no model yet."""
    desk.enter("cross_validating")
    count, folds = params.folds or 0, list[Fold]()
    for number in range(count):
        desk.check()
        prepared = make(fold=number)
        fitted = fit_aside(desk, prepared, describe, params, done=number, total=count)
        _refuse_ended(fitted, number)
        network = describe(prepared)[0]
        outputs = evaluation.answers(network, fitted.weights, prepared)
        assert prepared.validation is not None
        rivals = evaluation.simpler(prepared, prepared.validation.x, params, check=desk.check)
        attacked = fold_membership.attack(prepared, network, fitted.weights, seed=params.seed) if is_attacked else None
        epochs = fitted.best_epoch or fitted.epochs
        folds.append(Fold(prepared, outputs, rivals if params.baselines else {}, epochs, attacked))
    desk.report_folds(count, count, metrics={})
    return _pool(kind, whole, folds)


def fit_aside(
    desk: Desk, prepared: Prepared, describe: Describe, params: TableTraining, *, done: int, total: int
) -> Fitted:
    """Train a network that is judged and not kept."""
    return training.fit(
        *describe(prepared),
        params,
        train=prepared.train,
        validation=prepared.validation,
        watch=Aside(desk, done=done, total=total),
        checkpoint=None,
    )


def _refuse_ended(fitted: Fitted, number: int) -> None:
    if fitted.stopped_by == "cancel":
        raise JobCancelled("The client asked for it while the folds were trained: there is no model to keep yet.")
    if fitted.stopped_by == "budget":
        said = f"The compute that was granted was used up in fold {number + 1}, before the model itself was trained"
        raise JobFailed(f"{said}: grant more, or ask for fewer folds or epochs.", code="budget_too_small")


def _pool(kind: Kind, whole: Prepared, folds: Sequence[Fold]) -> Crossed:
    """All folds in the units and the order of labels of the model itself."""

    def ours(fold: Fold, values: np.ndarray) -> np.ndarray:
        return kind.metrics.translate(whole.target, fold.prepared.target, values).astype(np.float32)

    held_out = [fold.prepared.validation for fold in folds if fold.prepared.validation is not None]
    y = np.concatenate([ours(fold, part.y) for fold, part in zip(folds, held_out, strict=True)])
    groups = [fold.prepared.validation_groups for fold in folds]
    pooled = replace(
        whole,
        # What the folds' networks were given differs by fold, and nobody asks for it again.
        validation=Table(np.empty((len(y), 0), np.float32), y),
        validation_rows=np.concatenate([fold.prepared.validation_rows for fold in folds]),
        validation_groups=None if groups[0] is None else np.concatenate([each for each in groups if each is not None]),
        leakage=_leakage([fold.prepared.leakage for fold in folds]),
    )
    rivals = {
        name: replace(rival, outputs=np.concatenate([ours(fold, fold.rivals[name].outputs) for fold in folds]))
        for name, rival in folds[0].rivals.items()
    }
    told, undefined = _tell(kind, folds)
    known = {caution.code for caution in whole.cautions}
    new = {each.code: each for fold in folds for each in fold.prepared.cautions if each.code not in known}
    return Crossed(
        pooled,
        np.concatenate([ours(fold, fold.outputs) for fold in folds]),
        rivals,
        max(1, round(statistics.median(fold.epochs for fold in folds))),
        told,
        [*new.values(), *undefined],
        [fold.attacked for fold in folds if fold.attacked is not None],
    )


def _leakage(reports: Sequence[Json]) -> Json:
    """That of the first fold in which something is suspected; where nothing is, of the first."""
    return next((report for report in reports if report.get("suspected")), reports[0])


def _tell(kind: Kind, folds: Sequence[Fold]) -> tuple[Json, list[Caution]]:
    """Each fold's metrics, their mean and standard deviation over folds (n - 1), and what could not be computed."""
    each, undefined = list[Json](), list[Caution]()
    for number, fold in enumerate(folds, start=1):
        prepared = fold.prepared
        assert prepared.validation is not None
        true, said = evaluation.by_row(prepared, prepared.validation.y), evaluation.by_row(prepared, fold.outputs)
        judged = kind.metrics.evaluate(prepared.target, true, said)
        figures = {name: one["value"] for name, one in judged.items() if isinstance(one, dict) and "value" in one}
        lacking = [name for name, value in figures.items() if value is None]
        if lacking:
            reason = judged[lacking[0]].get("reason", "it has no value here")
            undefined.append(Caution("metric_undefined", f"fold {number} has no {', '.join(lacking)}: {reason}"))
        each.append({"fold": number, "rows": len(true), "epochs": fold.epochs, "metrics": figures})
    values = {
        name: [one["metrics"][name] for one in each if one["metrics"][name] is not None] for name in each[0]["metrics"]
    }
    mean = {name: statistics.fmean(some) if some else None for name, some in values.items()}
    sd = {name: statistics.stdev(some) if len(some) > 1 else None for name, some in values.items()}
    return {"each": each, "mean": mean, "sd": sd}, undefined
