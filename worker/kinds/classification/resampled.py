"""The metrics of a classifier when rows are drawn again, all resamples at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

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
from worker.resampling import Weighted

Json = dict[str, Any]
Figures = dict[str, np.ndarray]
Error = Callable[[np.ndarray], np.ndarray]


def resampled(target: Json, truth: np.ndarray, outputs: np.ndarray) -> Weighted:
    """What `metrics.evaluate` says, of rows that count so many times."""
    described = Target.model_validate(target)
    if described.encoding == "multi_hot":
        calibration = _calibration(*(each.reshape(truth.shape) for each in sureness(described, truth, outputs)))
        probabilities = probabilities_of(described, outputs).astype(np.float64)
        return _several(described, truth > 0, probabilities, calibration)
    calibration = _calibration(*(each[:, None] for each in sureness(described, truth, outputs)))
    return _one(described, *unfold(described, truth, outputs), calibration)


def _one(target: Target, classes: np.ndarray, probabilities: np.ndarray, calibration: Error) -> Weighted:
    labels, predicted = len(target.labels), decided(target, probabilities)
    is_right = predicted == classes
    is_class = classes[:, None] == np.arange(labels)
    counts = [
        _counter(part) for part in (is_class & is_right[:, None], is_class, predicted[:, None] == np.arange(labels))
    ]
    loss = -np.log(np.clip(probabilities[is_class], LEAST_PROBABILITY, 1))
    areas = _areas(target, is_class, probabilities)

    def weighted(drawn: np.ndarray) -> Figures:
        total, (right, true, said) = drawn.sum(axis=1), [count(drawn) for count in counts]
        each = rates(right, true, said)
        figures = {
            "accuracy": drawn @ is_right / total,
            "balanced_accuracy": _mean_where(each["recall"], true > 0),
            **{f"macro_{name}": _mean_where(values, true + said > 0) for name, values in each.items()},
            **areas(drawn),
            "log_loss": drawn @ loss / total,
            "calibration_error": calibration(drawn),
        }
        if target.positive is not None:
            place = target.labels.index(target.positive)
            figures |= {name: values[:, place] for name, values in each.items()}
        return figures

    return weighted


def _several(target: Target, truth: np.ndarray, probabilities: np.ndarray, calibration: Error) -> Weighted:
    predicted = said_of(target, probabilities)
    is_right = truth == predicted
    counts = [_counter(part) for part in (truth & predicted, truth, predicted, ~truth & ~predicted, ~truth)]
    chosen = np.clip(np.where(truth, probabilities, 1 - probabilities), LEAST_PROBABILITY, 1)
    loss, is_whole = -np.log(chosen).mean(axis=1), is_right.all(axis=1)
    areas = _areas(target, truth, probabilities)

    def weighted(drawn: np.ndarray) -> Figures:
        total, (right, true, said, rejected, false) = drawn.sum(axis=1), [count(drawn) for count in counts]
        each = rates(right, true, said)
        return {
            "accuracy": drawn @ is_whole / total,
            "balanced_accuracy": ((each["recall"] + ratio(rejected, false)) / 2).mean(axis=1),
            **{f"macro_{name}": values.mean(axis=1) for name, values in each.items()},
            **rates(*(part.sum(axis=1) for part in (right, true, said))),
            **areas(drawn),
            "log_loss": drawn @ loss / total,
            "calibration_error": calibration(drawn),
        }

    return weighted


def _counter(marks: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """How many of the rows that are marked (rows, labels) each resample has, (resamples, labels)."""
    marked = sparse.csr_matrix(marks.T, dtype=np.float64)
    return lambda drawn: np.asarray((marked @ drawn.T).T)


def _mean_where(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over labels, of those that count."""
    found: np.ndarray = np.where(counts, values, 0).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return found


def _calibration(confidence: np.ndarray, is_right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Of rows with one confidence or several, (rows, parts)."""
    rows, parts = confidence.shape
    places = (np.repeat(np.arange(rows), parts), curves.bins_of(confidence).ravel())
    gaps = sparse.csr_matrix(((is_right - confidence).ravel(), places), shape=(rows, curves.CALIBRATION_BINS)).T.tocsr()
    return lambda drawn: np.abs(gaps @ drawn.T).sum(axis=0) / (parts * drawn.sum(axis=1))


def _areas(target: Target, truth: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], Figures]:
    """Of the positive class, or the mean over the classes that a resample has and has not only."""
    chosen = range(truth.shape[1]) if target.positive is None else [target.labels.index(target.positive)]
    ranked = [curves.Ranked(truth[:, place], scores[:, place]) for place in chosen]

    def areas(drawn: np.ndarray) -> Figures:
        found = np.array([each.areas(drawn) for each in ranked])
        counts = np.isfinite(found).sum(axis=0)
        with np.errstate(invalid="ignore"):
            roc, precision = np.nansum(found, axis=0) / np.where(counts > 0, counts, np.nan)
        return {"roc_auc": roc, "pr_auc": precision}

    return areas
