"""A classifier's answers as probabilities, and how often they are right."""

import numpy as np

from worker import calibration
from worker.calibration import LEAST_PROBABILITY, THRESHOLD
from worker.kinds.classification.data import Target

__all__ = [
    "LEAST_PROBABILITY", "confidence_of", "decided", "is_right", "probabilities_of", "rates", "ratio", "said_of",
    "sureness", "unfold",
]  # fmt: skip


def unfold(target: Target, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of each row (rows,) and the probabilities of all classes (rows, labels), float64."""
    probabilities = probabilities_of(target, outputs).astype(np.float64)
    classes = truth[:, 0] if target.encoding == "binary" else truth.argmax(axis=1)
    return classes.astype(np.int64), probabilities


def probabilities_of(target: Target, outputs: np.ndarray) -> np.ndarray:
    """A probability for each label (rows, labels), in the outputs' own precision, at the target's temperature."""
    outputs = calibration.scaled(outputs, target.temperatures, is_softmax=target.encoding == "one_hot")
    return np.concatenate([1 - outputs, outputs], axis=1) if target.encoding == "binary" else outputs


def decided(target: Target, probabilities: np.ndarray) -> np.ndarray:
    """The place of the one label that is said of each row: the likeliest, or the positive one from its threshold on."""
    if target.positive not in target.thresholds:
        return probabilities.argmax(axis=1)
    place = target.labels.index(target.positive)
    others = probabilities.copy()
    others[:, place] = -1
    is_positive = probabilities[:, place] >= target.thresholds[target.positive]
    return np.where(is_positive, place, others.argmax(axis=1))


def said_of(target: Target, probabilities: np.ndarray) -> np.ndarray:
    """Which labels are said of each row, where it may have several; bool (rows, labels)."""
    return probabilities >= np.array([target.thresholds.get(label, THRESHOLD) for label in target.labels])


def confidence_of(target: Target, probabilities: np.ndarray) -> np.ndarray:
    """The probability of the likeliest label; where a row has several, the mean of the likelier of yes and no."""
    if target.encoding == "multi_hot":
        confidence: np.ndarray = np.maximum(probabilities, 1 - probabilities).mean(axis=1)
        return confidence
    return np.asarray(probabilities.max(axis=1))


def is_right(target: Target, truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Which rows are right, (rows,); where a row has several labels, in all of them."""
    if target.encoding == "multi_hot":
        return np.asarray((said_of(target, probabilities_of(target, outputs)) == (truth > 0)).all(axis=1))
    classes, probabilities = unfold(target, truth, outputs)
    return np.asarray(decided(target, probabilities) == classes)


def sureness(target: Target, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of what is said and whether it is right: of each row, or of each label of each (parts,)."""
    if target.encoding == "multi_hot":
        probabilities = probabilities_of(target, outputs).astype(np.float64)
        said = said_of(target, probabilities)
        return np.where(said, probabilities, 1 - probabilities).ravel(), ((truth > 0) == said).ravel()
    classes, probabilities = unfold(target, truth, outputs)
    places = decided(target, probabilities)
    return np.take_along_axis(probabilities, places[:, None], axis=1)[:, 0], places == classes


def rates(right: np.ndarray, true: np.ndarray, said: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of counts; 0 where there is nothing to divide by, as in scikit-learn."""
    return {"precision": ratio(right, said), "recall": ratio(right, true), "f1": ratio(2 * right, true + said)}


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(part / np.maximum(whole, 1), np.float64)
