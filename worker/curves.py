"""How well scores order and weigh rows: areas under curves, and calibration; pure NumPy."""

import numpy as np

CALIBRATION_BINS = 15


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one, ties half (Mann-Whitney U); both must be present."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives = int(truth.sum())
    above = float(ranks[truth].sum()) - positives * (positives + 1) / 2
    return above / (positives * (len(truth) - positives))


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve in steps, as scikit-learn has it; needs a positive row."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    # Rows of one score enter together.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    gained = np.diff(hits[last], prepend=0)
    return float((gained * hits[last] / (last + 1)).sum() / hits[-1])


def calibration_error(confidence: np.ndarray, is_right: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al., ICML 2017, equation 3)."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=is_right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
