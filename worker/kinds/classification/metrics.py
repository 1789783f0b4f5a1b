"""How good a classifier is, from its outputs and the truth."""

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.errors import NotAllowedNow
from worker import curves
from worker.kinds.classification.answers import (
    LEAST_PROBABILITY,
    decided,
    probabilities_of,
    rates,
    ratio,
    said_of,
    sureness,
    unfold,
)
from worker.kinds.classification.data import Target
from worker.kinds.classification.headline import headline
from worker.kinds.classification.resampled import resampled
from worker.preparation import listed

__all__ = ["evaluate", "headline", "resampled", "translate"]

Json = dict[str, Any]


def evaluate(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Json:
    """Metrics of outputs against the truth, both (rows, outputs), with the figures of each class beside them.

    With several labels a row, accuracy is the share of rows that are right in all of them, precision, recall and f1
    count all labels alike (micro), and balanced accuracy, ROC-AUC and PR-AUC are means over labels.
    """
    described = Target.model_validate(target)
    if described.encoding == "multi_hot":
        metrics = _several(described, truth > 0, probabilities_of(described, outputs).astype(np.float64))
    else:
        metrics = _one(described, *unfold(described, truth, outputs))
    metrics["calibration_error"] = _value(curves.calibration_error(*sureness(described, truth, outputs)))
    return metrics


def translate(target: Json, other: Json, outputs: np.ndarray) -> np.ndarray:
    """Outputs of a model that learned `other`, in the order and encoding of `target`.

    A label that it does not know has probability 0. Raises NotAllowedNow when it answers another question.
    """
    ours, theirs = Target.model_validate(target), Target.model_validate(other)
    _refuse_another_question(ours, theirs)
    probabilities = probabilities_of(theirs, outputs)
    said = np.zeros((len(outputs), len(ours.labels)), probabilities.dtype)
    said[:, [ours.labels.index(label) for label in theirs.labels]] = probabilities
    return said[:, 1:] if ours.encoding == "binary" else said


def _refuse_another_question(ours: Target, theirs: Target) -> None:
    is_several = ours.encoding == "multi_hot"
    # Of several columns each is a label.
    is_same_column = len(ours.columns) > 1 or ours.columns == theirs.columns
    if is_several != (theirs.encoding == "multi_hot") or not is_same_column:
        said = f"it predicts {listed(theirs.columns)} otherwise than the candidate predicts {listed(ours.columns)}."
        raise NotAllowedNow(said, code="gate_refused")
    strange = [label for label in theirs.labels if label not in ours.labels]
    if strange:
        said = f"it says labels, too, that the dataset has no more: {listed(strange)}."
        raise NotAllowedNow(said, code="gate_refused")


def _one(target: Target, classes: np.ndarray, probabilities: np.ndarray) -> Json:
    """Metrics of one class a row."""
    labels, predicted = len(target.labels), decided(target, probabilities)
    confusion = np.bincount(classes * labels + predicted, minlength=labels**2).reshape(labels, labels)
    right, true, said = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    each = rates(right, true, said)
    met, present = (true + said) > 0, true > 0
    is_class = classes[:, None] == np.arange(labels)
    metrics = {
        "accuracy": _value(np.mean(predicted == classes)),
        "balanced_accuracy": _value(each["recall"][present].mean()),
        **{f"macro_{name}": _value(values[met].mean()) for name, values in each.items()},
        "roc_auc": _area(curves.roc_auc, target, is_class, probabilities),
        "pr_auc": _area(curves.average_precision, target, is_class, probabilities),
        "log_loss": _value(-np.log(np.clip(probabilities[is_class], LEAST_PROBABILITY, 1)).mean()),
        "per_class": _per_class(target, each, true),
        "confusion_matrix": {"labels": list(target.labels), "rows": confusion.tolist()},
    }
    if target.positive is not None:
        place = target.labels.index(target.positive)
        metrics |= {name: _value(values[place]) for name, values in each.items()}
    return metrics


def _several(target: Target, truth: np.ndarray, probabilities: np.ndarray) -> Json:
    """Metrics of any number of labels a row."""
    predicted = said_of(target, probabilities)
    right, true, said = (truth & predicted).sum(axis=0), truth.sum(axis=0), predicted.sum(axis=0)
    each = rates(right, true, said)
    micro = rates(*(np.asarray(np.sum(counts)) for counts in (right, true, said)))
    rejected = ratio((~truth & ~predicted).sum(axis=0), (~truth).sum(axis=0))
    chosen = np.clip(np.where(truth, probabilities, 1 - probabilities), LEAST_PROBABILITY, 1)
    return {
        "accuracy": _value((truth == predicted).all(axis=1).mean()),
        "balanced_accuracy": _value(((each["recall"] + rejected) / 2).mean()),
        **{f"macro_{name}": _value(values.mean()) for name, values in each.items()},
        **{name: _value(value) for name, value in micro.items()},
        "roc_auc": _area(curves.roc_auc, target, truth, probabilities),
        "pr_auc": _area(curves.average_precision, target, truth, probabilities),
        "log_loss": _value(-np.log(chosen).mean()),
        "per_class": _per_class(target, each, true),
    }


def _area(
    area: Callable[[np.ndarray, np.ndarray], float], target: Target, truth: np.ndarray, scores: np.ndarray
) -> Json:
    """The area of the positive class, or the mean over all classes, each against the rest."""
    lacking = [label for label, rows in zip(target.labels, truth.T, strict=True) if rows.all() or not rows.any()]
    if lacking:
        return {"value": None, "interval": None, "reason": "of some label the rows measured are all or none"}
    if target.positive is not None:
        place = target.labels.index(target.positive)
        return _value(area(truth[:, place], scores[:, place]))
    return _value(np.mean([area(*each) for each in zip(truth.T, scores.T, strict=True)]))


def _per_class(target: Target, each: dict[str, np.ndarray], rows: np.ndarray) -> Json:
    return {
        label: {**{name: float(values[place]) for name, values in each.items()}, "rows": int(rows[place])}
        for place, label in enumerate(target.labels)
    }


def _value(value: float | np.floating[Any] | np.ndarray) -> Json:
    return {"value": float(value), "interval": None}
