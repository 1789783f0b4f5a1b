"""Figures of a set of pieces as ratios of sums over its pieces, with the interval that resampling the pieces gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES, SEED = 500, 20_260
LOW, HIGH = 2.5, 97.5
DIGITS = 6

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Ratio:
    """What was counted in one piece, and out of how many."""

    part: float
    whole: float


@dataclass(frozen=True)
class Shares:
    """How often each of `labels` was counted in one piece, (labels,)."""

    labels: tuple[Any, ...]  # Any: words and numbers
    counts: np.ndarray


Figures = Mapping[str, Ratio | Shares]


def gather(pieces: Sequence[Figures]) -> Json:
    """{"value", "interval"} for each ratio, {"labels", "value"} for each distribution; null where nothing counts.

    The interval holds 95 % of the ratios of sums over as many pieces, drawn with replacement (Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, ch. 13); of one piece it is that one's ratio.
    """
    if not pieces:
        return {}
    draws = _draws(len(pieces))
    return {name: _gathered([piece[name] for piece in pieces], draws) for name in pieces[0]}


def _draws(pieces: int) -> np.ndarray:
    """How often each piece is drawn in each resample, (resamples, pieces)."""
    random = np.random.default_rng(SEED)
    return random.multinomial(pieces, np.full(pieces, 1 / pieces), size=RESAMPLES).astype(np.float64)


def _gathered(figures: Sequence[Ratio | Shares], draws: np.ndarray) -> Json:
    ratios = np.array([[each.part, each.whole] for each in figures if isinstance(each, Ratio)])
    if len(ratios):
        return _ratio(ratios, draws)
    shares = [each for each in figures if isinstance(each, Shares)]
    total = np.sum([each.counts for each in shares], axis=0)
    value = [round(share, DIGITS) for share in (total / total.sum()).tolist()] if total.sum() else None
    return {"labels": list(shares[0].labels), "value": value}


def _ratio(ratios: np.ndarray, draws: np.ndarray) -> Json:
    part, whole = ratios.sum(axis=0)
    if whole == 0:
        return {"value": None, "interval": None}
    parts, wholes = draws @ ratios[:, 0], draws @ ratios[:, 1]
    # A resample may hold only pieces in which there was nothing to count.
    drawn = parts[wholes > 0] / wholes[wholes > 0]
    low, high = np.percentile(drawn, (LOW, HIGH)) if len(drawn) else (part / whole,) * 2
    return {
        "value": round(float(part / whole), DIGITS),
        "interval": [round(float(low), DIGITS), round(float(high), DIGITS)],
    }


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Jensen-Shannon distance of two distributions, the root of the divergence in bits: 0 to 1.

    Endres & Schindelin, "A new metric for probability distributions", 2003.
    """
    shares = np.array([one, other], np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    middle = shares.mean(axis=0)
    ratio = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
    divergence = (shares * np.log2(ratio)).sum(axis=1).mean()
    return float(np.sqrt(max(float(divergence), 0.0)))
