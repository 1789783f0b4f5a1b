"""Which seconds spoke for a label: integrated gradients on the mel frames, summed over bands.

Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017. The baseline is silence, which the mel
front end says as zeros; the integral is a Gauss-Legendre sum, whose error is told with every answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from worker.audio.limits import CLIP_S
from worker.audio.mel import FRAMES_PER_S, WINDOW_FRAMES
from worker.pretrained import musicnn

# Exact for polynomials up to degree 31; what it leaves is in `completeness_error`.
STEPS = (16, 64)
# From this share on the parts do not make the whole, and more points are taken if there are.
ENOUGH = 0.02
# Points of the path are judged together as long as they have no more windows than this: more save no more time. The
# windows of one point are always together, since their label is one: with its gradients, a segment of twenty takes
# 0.5 GB in the two networks of an embedding.
WINDOWS_AT_ONCE = 4
# Of a track, those segments are looked into that speak loudest for the label; each may cost some seconds.
SEGMENTS = 6
# The grain of the answer: 31 frames are 0.496 s, and a window has six of them and one frame more.
GRAIN_FRAMES = 31

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
    # One after the other: no call has more windows than a segment, or than those at once.
    value, baseline = (float(judge(end[tf.newaxis])[0]) for end in (target, tf.zeros_like(target)))
    return Reason((mean * windows).sum(axis=2), value, baseline, steps)


def _slopes(judge: Judge, shares: Any, target: Any) -> np.ndarray:  # Any: TensorFlow ships no types
    """Gradients at some points of the straight path from silence, (points, windows, frames, bands) float64."""
    path = tf.reshape(shares, (-1, 1, 1, 1)) * target
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(path)
        total = tf.reduce_sum(judge(path))
    slopes: np.ndarray = tape.gradient(total, path).numpy().astype(np.float64)
    return slopes


# Of a label its log-odds; of a regression the number that is predicted, in the client's units.
Explained = Literal["log_odds", "prediction"]


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


def tell(
    label: str, score: float, reasons: Sequence[tuple[Segment, Reason]], *, frames: int, of: Explained = "log_odds"
) -> Json:
    """The answer as JSON, of a track of so many frames: what each half second added, and the three that added most."""
    parts = [_Part(segment.first * WINDOW_FRAMES, _folded(reason, frames)) for segment, reason in reasons]
    # Frames are centred, so that the last one lies around the end.
    end = max(frames - 1, 1)
    return {
        "label": label,
        "score": round(score, 6),
        "method": f"integrated gradients of the {of.replace('_', '-')}; baseline: silence",
        "steps": max(reason.steps for _, reason in reasons),
        "completeness_error": round(max(reason.completeness_error for _, reason in reasons), 6),
        "segments": [
            {
                "start_s": _s(segment.first * WINDOW_FRAMES),
                "end_s": _s(min((segment.first + segment.windows) * WINDOW_FRAMES, end)),
                "score": round(segment.score, 6),
                of: round(reason.value, 6),
                f"{of}_of_silence": round(reason.baseline, 6),
            }
            for segment, reason in reasons
        ],
        "seconds": [grain for part in parts for grain in _grains(part, end)],
        "best": _best(parts, end),
    }


class _Part(NamedTuple):
    """The frame of the track where a segment begins, and what each from there on added."""

    first: int
    added: np.ndarray  # (frames,)


def _folded(reason: Reason, frames: int) -> np.ndarray:
    """What each frame of the track added: one that is shorter than a window was heard over and over."""
    added = reason.by_frame.reshape(-1)
    return np.bincount(np.arange(len(added)) % frames, added)


def _grains(part: _Part, end: int) -> list[Json]:
    """Half seconds; one that would begin at the end belongs to the one before."""
    starts = range(0, min(len(part.added), end - part.first), GRAIN_FRAMES)
    return [
        {
            "start_s": _s(part.first + start),
            "end_s": _s(min(part.first + stop, end)),
            "added": round(float(part.added[start:stop].sum()), 6),
        }
        for start, stop in zip(starts, [*starts[1:], len(part.added)], strict=True)
    ]


def _best(parts: Sequence[_Part], end: int) -> Json:
    """The stretch of at most CLIP_S that added most."""
    length = min(int(CLIP_S * FRAMES_PER_S), min(len(part.added) for part in parts))
    found = []
    for part in parts:
        sums = np.convolve(part.added, np.ones(length), mode="valid")
        place = int(sums.argmax())
        found.append((float(sums[place]), part.first + place))
    added, start = max(found)
    return {"start_s": _s(start), "end_s": _s(min(start + length, end)), "added": round(added, 6)}


def _s(frames: int) -> float:
    return round(frames / FRAMES_PER_S, 3)


def windows_of(mel: np.ndarray, segment: Segment) -> np.ndarray:
    """The mel windows of a segment, (windows, frames, bands), as the networks hear them."""
    return musicnn.windows(mel)[segment.first : segment.first + segment.windows]
