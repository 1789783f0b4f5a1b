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


class Ranked:
    """Rows in the order of their scores, for the areas of rows that count any number of times."""

    def __init__(self, truth: np.ndarray, scores: np.ndarray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._is_positive = truth[self._order].astype(bool)
        # Rows of one score enter together.
        self._starts = np.append(0, np.flatnonzero(np.diff(scores[self._order])) + 1)

    def areas(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`roc_auc` and `average_precision` of each resample, from how often rows count, (resamples, rows).

        NaN where a side is absent.
        """
        ordered = times[:, self._order]
        every = np.add.reduceat(ordered, self._starts, axis=1)
        positive = np.add.reduceat(ordered * self._is_positive, self._starts, axis=1)
        negative, hits, seen = every - positive, np.cumsum(positive, axis=1), np.cumsum(every, axis=1)
        positives = hits[:, -1:]
        negatives = seen[:, -1:] - positives
        below = negatives - (seen - hits) + negative / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            roc = (positive * below).sum(axis=1) / (positives * negatives)[:, 0]
            precision = (positive * hits / np.maximum(seen, 1)).sum(axis=1) / positives[:, 0]
        return roc, np.where(negatives[:, 0] > 0, precision, np.nan)


def calibration_error(confidence: np.ndarray, is_right: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins of confidence (Guo et al., ICML 2017, equation 3)."""
    gaps = np.bincount(bins_of(confidence), weights=is_right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def reliability(confidence: np.ndarray, is_right: np.ndarray) -> list[dict[str, float | int]]:
    """How sure and how often right the rows of each bin are that has some, from the least confidence on."""
    places = bins_of(confidence)
    rows = np.bincount(places, minlength=CALIBRATION_BINS)
    sums = [np.bincount(places, weights=each, minlength=CALIBRATION_BINS) for each in (confidence, is_right)]
    return [
        {
            "lower": place / CALIBRATION_BINS,
            "upper": (place + 1) / CALIBRATION_BINS,
            "rows": int(rows[place]),
            "confidence": float(sums[0][place] / rows[place]),
            "accuracy": float(sums[1][place] / rows[place]),
        }
        for place in np.flatnonzero(rows).tolist()
    ]


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each confidence, the upper bound being in it."""
    return np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
