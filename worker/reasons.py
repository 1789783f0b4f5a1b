"""Which seconds spoke for a label: integrated gradients on the mel frames, summed over bands.

Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017. The baseline is silence, which the mel
front end says as zeros; the integral is a Gauss-Legendre sum, whose error is told with every answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from worker.audio.mel import FRAMES_PER_S, WINDOW_FRAMES
from worker.pretrained import musicnn

# Exact for polynomials up to degree 31; what it leaves is in `completeness_error`.
STEPS = (16, 64)
# From this share on the parts do not make the whole, and more points are taken if there are.
ENOUGH = 0.02
# Bounds memory: with its gradients a window takes 40 MB in musicnn and 80 in vgg, and more at once save no more time.
WINDOWS_AT_ONCE = 4
# Of a track, those segments are looked into that speak loudest for the label; each may cost some seconds.
SEGMENTS = 6
# The grain of the answer: 31 frames are 0.496 s, and a window has six of them and one frame more.
GRAIN_FRAMES = 31
CLIP_S = 3.0

Json = dict[str, Any]
# From mel windows (paths, windows, frames, bands) to the log-odds of one label (paths,).
Judge = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Reason:
    """What each moment of some windows adds to the log-odds of a label, beyond what silence has."""

    by_frame: np.ndarray  # (windows, frames) float64
    value: float
    baseline: float
    steps: int

    @property
    def completeness_error(self) -> float:
        """How far the parts are from the whole, as a share of it."""
        whole = self.value - self.baseline
        return abs(float(self.by_frame.sum()) - whole) / max(abs(whole), 1e-6)


def explain(judge: Judge, windows: np.ndarray) -> Reason:
    """Attribute a label's log-odds to the frames of windows (windows, frames, bands) that are judged together."""
    for steps in STEPS:
        found = _integrate(judge, windows, steps)
        if found.completeness_error <= ENOUGH:
            break
    return found


def _integrate(judge: Judge, windows: np.ndarray, steps: int) -> Reason:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    target = tf.constant(windows, tf.float32)
    mean = np.zeros(windows.shape, np.float64)
    points = max(1, WINDOWS_AT_ONCE // len(windows))
    for start in range(0, steps, points):
        some = slice(start, start + points)
        slopes = _slopes(judge, tf.constant((nodes[some] + 1) / 2, tf.float32), target)
        mean += np.tensordot(weights[some] / 2, slopes, axes=1)
    ends = judge(tf.stack([target, tf.zeros_like(target)])).numpy()
    return Reason((mean * windows).sum(axis=2), float(ends[0]), float(ends[1]), steps)


def _slopes(judge: Judge, shares: Any, target: Any) -> np.ndarray:  # Any: TensorFlow ships no types
    """Gradients at some points of the straight path from silence, (points, windows, frames, bands) float64."""
    path = tf.reshape(shares, (-1, 1, 1, 1)) * target
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(path)
        total = tf.reduce_sum(judge(path))
    slopes: np.ndarray = tape.gradient(total, path).numpy().astype(np.float64)
    return slopes


@dataclass(frozen=True)
class Segment:
    """Windows that are judged together: the first of them, how many, and how likely they make the label."""

    first: int
    windows: int
    score: float


def choose(segments: Sequence[Segment]) -> list[Segment]:
    """The segments that speak loudest, in the order of time."""
    best = sorted(segments, key=lambda each: (-each.score, each.first))[:SEGMENTS]
    return sorted(best, key=lambda each: each.first)


def tell(label: str, score: float, reasons: Sequence[tuple[Segment, Reason]]) -> Json:
    """The answer as JSON: what each half second added, and the three seconds that added most."""
    grains = [grain for segment, reason in reasons for grain in _grains(segment, reason)]
    return {
        "label": label,
        "score": round(score, 6),
        "method": "integrated gradients of the log-odds; baseline: silence",
        "steps": max(reason.steps for _, reason in reasons),
        "completeness_error": round(max(reason.completeness_error for _, reason in reasons), 6),
        "segments": [
            {
                "start_s": _s(segment.first * WINDOW_FRAMES),
                "end_s": _s((segment.first + segment.windows) * WINDOW_FRAMES),
                "score": round(segment.score, 6),
                "log_odds": round(reason.value, 6),
                "log_odds_of_silence": round(reason.baseline, 6),
            }
            for segment, reason in reasons
        ],
        "seconds": grains,
        "best": _best(reasons),
    }


def _grains(segment: Segment, reason: Reason) -> list[Json]:
    frames = reason.by_frame.reshape(-1)
    first = segment.first * WINDOW_FRAMES
    starts = range(0, len(frames), GRAIN_FRAMES)
    return [
        {
            "start_s": _s(first + start),
            "end_s": _s(first + min(start + GRAIN_FRAMES, len(frames))),
            "added": round(float(frames[start : start + GRAIN_FRAMES].sum()), 6),
        }
        for start in starts
    ]


def _best(reasons: Sequence[tuple[Segment, Reason]]) -> Json:
    """The stretch of at most CLIP_S that added most."""
    length = min(int(CLIP_S * FRAMES_PER_S), min(reason.by_frame.size for _, reason in reasons))
    found = []
    for segment, reason in reasons:
        sums = np.convolve(reason.by_frame.reshape(-1), np.ones(length), mode="valid")
        place = int(sums.argmax())
        found.append((float(sums[place]), segment.first * WINDOW_FRAMES + place))
    added, start = max(found)
    return {"start_s": _s(start), "end_s": _s(start + length), "added": round(added, 6)}


def _s(frames: int) -> float:
    return round(frames / FRAMES_PER_S, 3)


def windows_of(mel: np.ndarray, segment: Segment) -> np.ndarray:
    """The mel windows of a segment, (windows, frames, bands), as the networks hear them."""
    return musicnn.windows(mel)[segment.first : segment.first + segment.windows]
