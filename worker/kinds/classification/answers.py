"""A classifier's answers as probabilities, and how often they are right."""

import numpy as np

from worker.kinds.classification.data import Target

# Keras's epsilon: a probability of 0 would make one row's loss infinite.
LEAST_PROBABILITY = 1e-7


def unfold(target: Target, truth: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of each row (rows,) and the probabilities of all classes (rows, labels), float64."""
    probabilities = probabilities_of(target, outputs).astype(np.float64)
    classes = truth[:, 0] if target.encoding == "binary" else truth.argmax(axis=1)
    return classes.astype(np.int64), probabilities


def probabilities_of(target: Target, outputs: np.ndarray) -> np.ndarray:
    """A probability for each label (rows, labels), in the outputs' own precision."""
    return np.concatenate([1 - outputs, outputs], axis=1) if target.encoding == "binary" else outputs


def rates(right: np.ndarray, true: np.ndarray, said: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of counts; 0 where there is nothing to divide by, as in scikit-learn."""
    return {"precision": ratio(right, said), "recall": ratio(right, true), "f1": ratio(2 * right, true + said)}


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(part / np.maximum(whole, 1), np.float64)
