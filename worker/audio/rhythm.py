"""Tempo and beats of a recording, from its onset strength.

A tempo is strong where both the autocorrelation and the Fourier transform of the onset strength are: the one peaks at
the tempo and its fractions, the other at the tempo and its multiples (Peeters, "Template-based estimation of
time-varying tempo", 2007). Beats are found by dynamic programming (Ellis, "Beat tracking by dynamic programming",
2007), around the tempo of each moment rather than one for the whole.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage

from worker.audio import onsets
from worker.audio.spectrum import FRAMES_PER_S

# The tempi that are considered: a percent apart.
SLOWEST, FASTEST, TEMPI = 40.0, 220.0, 173
BPM = np.geomspace(SLOWEST, FASTEST, TEMPI)
PERIODS = 60 * FRAMES_PER_S / BPM
# Where people tap (Parncutt 1994; Moelants 2002): log-normal around 120 bpm.
USUAL_BPM, OCTAVES_WIDE = 120.0, 0.6
PRIOR = np.exp(-0.5 * (np.log2(BPM / USUAL_BPM) / OCTAVES_WIDE) ** 2)

WINDOW, STEP = round(10 * FRAMES_PER_S), round(2.5 * FRAMES_PER_S)
# Two periods of the slowest tempo.
SHORTEST = round(3 * FRAMES_PER_S)
FFT, FINER = 2048, 4
# The standard deviation, in nepers, of an onset strength that is the beating of a held chord (0.01) and no rhythm; soft
# music has 0.03 and more.
RIPPLE = 0.015
# A tempo within 4 % is the same one (Gouyon et al. 2006); one a fourth (4 : 3) away is another and no drift.
SAME, DRIFT_OCTAVES = 0.04, 0.4
# What noise of 10 s reaches by chance; of longer noise, less by the root of its length.
CHANCE = 0.25
# What an octave's change of tempo costs from window to window, and at most: the strength of three clear windows.
DRIFT, JUMP = 8.0, 3.0

# What a beat off its time costs, against one without an onset (Ellis 2007).
TIGHTNESS = 100.0
TINY = np.finfo(float).tiny

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Pulse:
    """The tempi BPM in each window of 10 s, (windows, 173): `clarity` is the autocorrelation, 0 to 1."""

    clarity: np.ndarray
    strength: np.ndarray


def describe(strengths: np.ndarray, pulse: Pulse | None) -> Json:
    """Tempo, how certain it is, and the beats in seconds, of onset strengths (frames,) and their pulse."""
    if pulse is None:
        return nothing()
    bpm, other = tempi(pulse)
    steady, confidence = certainty(pulse, bpm)
    if confidence < CHANCE * (WINDOW / len(strengths)) ** 0.5:
        return {**nothing(), "confidence": round(confidence, 4)}
    times_s = onsets.seconds(track(strengths, BPM[follow(pulse)]))
    return {
        "bpm": round(counted(times_s, bpm), 1),
        "bpm_other": round(other, 1) if other else None,
        "confidence": round(confidence, 4),
        "stability": round(steady, 4),
        "beats": [round(time_s, 3) for time_s in times_s.tolist()],
    }


def nothing() -> Json:
    """What is said of a recording without a pulse."""
    return {"bpm": None, "bpm_other": None, "confidence": 0.0, "stability": None, "beats": []}


def find_pulse(strengths: np.ndarray) -> Pulse | None:
    """How strong each tempo is over time; None for a recording of less than 3 s."""
    if len(strengths) < SHORTEST:
        return None
    # Players are 20 ms early or late.
    smooth = scipy.ndimage.gaussian_filter1d(strengths.astype(np.float64), 1.0)
    windows = np.lib.stride_tricks.sliding_window_view(smooth, min(WINDOW, len(smooth)))[::STEP]
    windows = windows - windows.mean(axis=1, keepdims=True)
    spectra = np.abs(scipy.fft.rfft(windows, FFT, axis=1))
    clarity = _autocorrelation(spectra, windows.shape[1])
    # Its root, lest a busy hi-hat at twice the tempo outweigh the drums.
    return Pulse(clarity, clarity * np.sqrt(_periodicity(spectra)))


def _autocorrelation(spectra: np.ndarray, size: int) -> np.ndarray:
    """At the period of each tempo, as a share of that at no lag, (windows, tempi)."""
    # Zeros at the end make the lags finer than a frame.
    padded = np.zeros((len(spectra), FFT * FINER // 2 + 1))
    padded[:, : spectra.shape[1]] = spectra**2
    lags = scipy.fft.irfft(padded, axis=1)
    places = np.arange(lags.shape[1])
    found = np.array([np.interp(PERIODS * FINER, places, each) for each in lags])
    # A longer lag has fewer products.
    found *= size / (size - PERIODS)
    return np.clip(found / (lags[:, :1] + size * RIPPLE**2 / FINER), 0, 1)


def _periodicity(spectra: np.ndarray) -> np.ndarray:
    """Magnitude at the frequency of each tempo, as a share of the largest of the window, (windows, tempi)."""
    places = np.arange(spectra.shape[1])
    found = np.array([np.interp(FFT / PERIODS, places, each) for each in spectra])
    return found / np.maximum(found.max(axis=1, keepdims=True), TINY)


def tempi(pulse: Pulse) -> tuple[float, float | None]:
    """The tempo of the whole, and the next best one at least a quarter of an octave away: nearer are its ripples."""
    score = pulse.strength.mean(axis=0) * PRIOR
    peaks = np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] > score[2:])) + 1
    best = int(score.argmax())
    others = [place for place in peaks.tolist() if abs(np.log2(BPM[place] / BPM[best])) > 0.25]
    other = max(others, key=lambda place: score[place], default=None)
    return _between(score, best), None if other is None else _between(score, other)


def _between(score: np.ndarray, place: int) -> float:
    """Where the parabola through a peak and its neighbours has its top, in bpm."""
    low, top, high = score[np.clip([place - 1, place, place + 1], 0, TEMPI - 1)]
    bend = low - 2 * top + high
    offset = 0.5 * (low - high) / bend if 0 < place < TEMPI - 1 and bend < 0 else 0.0
    return float(BPM[place] * (BPM[1] / BPM[0]) ** offset)


def counted(times_s: np.ndarray, bpm: float) -> float:
    """The tempo counted over sixteen beats at a time, finer than a frame tells; the tempo given if they say another."""
    beats = min(16, len(times_s) // 2)
    if beats == 0:
        return bpm
    spans_s = times_s[beats:] - times_s[:-beats]
    usual_s = float(np.median(spans_s))
    # The mean is finer than a frame, the median is not.
    count = 60 * beats / float(spans_s[np.abs(spans_s / usual_s - 1) <= SAME].mean())
    return count if abs(count / bpm - 1) <= SAME else bpm


def certainty(pulse: Pulse, bpm: float) -> tuple[float, float]:
    """The share of windows that agree with a tempo, and their clarity there, where others count as 0."""
    near = np.flatnonzero(np.abs(np.log2(BPM / bpm)) < DRIFT_OCTAVES)
    places = near[(pulse.strength * PRIOR)[:, near].argmax(axis=1)]
    clarity = pulse.clarity[np.arange(len(places)), places]
    agrees = (np.abs(BPM[places] / bpm - 1) <= SAME) & (clarity > 0)
    return float(agrees.mean()), float((clarity * agrees).mean())


def follow(pulse: Pulse) -> np.ndarray:
    """The most plausible course of the tempo (by Viterbi's algorithm): a place in BPM for each window."""
    gain = pulse.strength * PRIOR
    gain /= max(float(gain.max()), TINY)
    cost = np.minimum(DRIFT * np.abs(np.log2(BPM[:, None] / BPM)), JUMP)
    total, back = gain[0], np.zeros(gain.shape, np.int64)
    for window in range(1, len(gain)):
        reached = total[:, None] - cost
        back[window] = reached.argmax(axis=0)
        total = reached.max(axis=0) + gain[window]
    path = [int(total.argmax())]
    for window in range(len(gain) - 1, 0, -1):
        path.append(int(back[window, path[-1]]))
    return np.array(path[::-1])


def track(strengths: np.ndarray, bpm: np.ndarray) -> np.ndarray:
    """The beats, in frames, of onset strengths (frames,) and the tempo of each window (windows,)."""
    middles = np.arange(len(bpm)) * STEP + min(WINDOW, len(strengths)) / 2
    periods = 60 * FRAMES_PER_S / np.interp(np.arange(len(strengths)), middles, bpm)
    local = strengths / max(float(strengths.std()), TINY)
    # A thirty-second of a beat is within the time of a player.
    local = scipy.ndimage.gaussian_filter1d(local.astype(np.float64), float(periods.mean()) / 32)
    score, before = _chain(local, periods)
    return _trim(_walk(score, before, round(periods[-1])), local)


def _chain(local: np.ndarray, periods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best sum of a chain of beats that ends at each frame, and the frame of the beat before, or -1."""
    score, before = local.copy(), np.full(len(local), -1)
    costs = {period: _costs(period) for period in np.unique(np.round(periods, 1)).tolist()}
    for frame, period in enumerate(np.round(periods, 1).tolist()):
        nearest, cost = costs[period]
        first = frame - nearest - len(cost) + 1
        reached = score[max(first, 0) : max(frame - nearest + 1, 0)] - cost[max(-first, 0) :]
        best = int(reached.argmax()) if len(reached) else -1
        if best >= 0 and reached[best] > 0:
            score[frame] += reached[best]
            before[frame] = max(first, 0) + best
    return score, before


def _costs(period: float) -> tuple[int, np.ndarray]:
    """The nearest beat before, half a period away, and what each costs from two periods before to it."""
    nearest, farthest = max(round(period / 2), 1), round(2 * period)
    gaps = np.arange(farthest, nearest - 1, -1)
    return nearest, TIGHTNESS * np.log(gaps / period) ** 2


def _walk(score: np.ndarray, before: np.ndarray, period: int) -> np.ndarray:
    """Back from the best end within the last period."""
    last = max(len(score) - period, 0)
    frames = [last + int(score[last:].argmax())]
    while before[frames[-1]] >= 0:
        frames.append(int(before[frames[-1]]))
    return np.array(frames[::-1])


def _trim(frames: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Without the beats before the first and after the last that sound: a tail of silence has no beats."""
    sounding = np.flatnonzero(local[frames] >= 0.5 * np.sqrt(np.mean(local[frames] ** 2)))
    return frames[sounding[0] : sounding[-1] + 1] if len(sounding) else frames[:0]
