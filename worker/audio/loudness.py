"""Loudness, its range and true peaks of a track in one pass: ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 and 3342.

The samples are taken second by second whatever the blocks they come in, so the figures do not depend on the blocks;
what is kept is one number for every 100 ms.
"""

import math
from typing import Any

import numpy as np
from scipy.signal import sosfilt

STEPS_A_SECOND = 10
MOMENTARY_STEPS, SHORT_TERM_STEPS = 4, 30  # 400 ms and 3 s, every 100 ms
OFFSET_LU = -0.691
ABSOLUTE_GATE_LUFS = -70.0
INTEGRATED_GATE_LU, RANGE_GATE_LU = -10.0, -20.0
RANGE_PERCENTILES = 10, 95

# In the order of WAV, in which all formats are decoded: 3.0, quadro, 5.0, 5.1, 6.1, 7.1. Speakers at the sides (60 to
# 120 degrees) count 1.41 (+1.5 dB), those behind as those in front, the low-frequency channel not at all.
WEIGHTS = {
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, 1.41, 1.41),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
}

# Samples on either side that an oversampled value is made of: a tone at a third of the rate is right to 0.01 dB.
REACH = 12
# Rows of a matrix product that interpolates: longer ones multiply by more zeros, shorter ones overlap more.
ROW = 40

Json = dict[str, Any]  # Any: JSON


class Meter:
    """Takes blocks of finite float32 (frames, channels), full scale at 1, and says the figures at the end."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._second = np.zeros((channels, rate_hz), np.float32)
        self._filled = self._frames = 0
        self._bounds = np.arange(STEPS_A_SECOND + 1) * rate_hz // STEPS_A_SECOND
        self._filter, self._weights = k_weighting(rate_hz), np.array(WEIGHTS[channels])
        self._memory = np.zeros((2, channels, 2))
        self._powers: list[float] = []
        self._peaks = Peaks(rate_hz, channels)
        self._squares = 0.0

    def take(self, block: np.ndarray) -> None:
        while len(block):
            part = block[: self._second.shape[1] - self._filled]
            self._second[:, self._filled : self._filled + len(part)] = part.T
            self._filled += len(part)
            block = block[len(part) :]
            if self._filled == self._second.shape[1]:
                self._measure()

    def _measure(self) -> None:
        """Add the second so far; a step of less than 100 ms at the end counts in the peaks alone."""
        samples = self._second[:, : self._filled]
        self._frames, self._filled = self._frames + self._filled, 0
        self._squares += float(np.einsum("cs,cs->", samples, samples, dtype=np.float64))
        self._peaks.take(samples)
        weighted, self._memory = sosfilt(self._filter, samples.astype(np.float64), axis=1, zi=self._memory)
        starts, ends = self._bounds[:-1], self._bounds[1:]
        for start, end in zip(starts[ends <= samples.shape[1]], ends[ends <= samples.shape[1]], strict=True):
            step = weighted[:, start:end]
            power = np.einsum("cs,cs->c", step, step) / (end - start)
            self._powers.append(float(power @ self._weights))

    def done(self) -> Json:
        """The figures; None where there is nothing to measure: silence, or less than 400 ms (3 s for short-term)."""
        if self._filled:
            self._measure()
        momentary, short_term = self._windows(MOMENTARY_STEPS), self._windows(SHORT_TERM_STEPS)
        sample_peak, true_peak = self._peaks.done()
        rms = math.sqrt(self._squares / max(1, self._frames * len(self._weights)))
        return {
            "integrated_lufs": _lufs(_gated(momentary, INTEGRATED_GATE_LU)),
            "range_lu": _range_lu(short_term),
            "momentary_max_lufs": _lufs(momentary.max(initial=0)),
            "short_term_max_lufs": _lufs(short_term.max(initial=0)),
            "true_peak_dbtp": _db(true_peak),
            "sample_peak_dbfs": _db(sample_peak),
            # The largest sample over the root mean square of all, in all channels and unweighted.
            "crest_db": _db(sample_peak / rms) if rms else None,
            # As the range, of 400 ms in place of 3 s: the dynamics within a phrase beside those between sections.
            "dynamic_range_db": _range_lu(momentary),
        }

    def _windows(self, steps: int) -> np.ndarray:
        """Mean weighted power of every run of so many steps."""
        if len(self._powers) < steps:
            return np.zeros(0)
        return np.lib.stride_tricks.sliding_window_view(np.array(self._powers), steps).mean(axis=1)


class Peaks:
    """The largest sample, and the largest value between samples at four times the rate (annex 2 of BS.1770).

    Twice the rate from 96 kHz and the samples alone from 192 kHz, where they lie as near to one another.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        factor = 4 if rate_hz < 96_000 else 2 if rate_hz < 192_000 else 1
        self._interpolation = _interpolation(factor)
        self._before = np.zeros((channels, 2 * REACH - 1), np.float32)
        self._sample = self._between = 0.0

    def take(self, samples: np.ndarray) -> None:
        """Samples (channels, samples), which follow those before."""
        self._sample = max(self._sample, _largest(samples))
        joined = np.concatenate([self._before, samples], axis=1)
        rows = (joined.shape[1] - 2 * REACH + 1) // ROW
        self._before = joined[:, rows * ROW :]
        if rows and self._interpolation.size:
            self._between = max(self._between, _largest(self._interpolate(joined)))

    def done(self) -> tuple[float, float]:
        """The largest sample and the true peak; silence follows the last sample."""
        self.take(np.zeros((len(self._before), ROW + 2 * REACH), np.float32))
        return self._sample, max(self._sample, self._between)

    def _interpolate(self, joined: np.ndarray) -> np.ndarray:
        """Values between the samples, in no useful order: overlapping rows of samples times a matrix of filters."""
        windows = np.lib.stride_tricks.sliding_window_view(joined, len(self._interpolation), axis=1)[:, ::ROW]
        return windows.reshape(-1, len(self._interpolation)) @ self._interpolation


def k_weighting(rate_hz: int) -> np.ndarray:
    """Second-order sections of the K-weighting for any rate.

    BS.1770 gives them for 48 kHz only; their analog parameters are those of De Man, "Evaluation of Implementations of
    the EBU R128 Loudness Measurement" (AES 2018), and are the standard's own coefficients at 48 kHz. The high-pass of
    the standard has a gain of 0.04 dB, here at every rate. The bilinear transform bends the shelf at low rates:
    from 16 kHz on no frequency is off by 0.1 dB, at 8 kHz a tone of 1 kHz reads 0.2 LU low, and noise 0.1 LU high.
    """
    k, q = math.tan(math.pi * 1681.974450955533 / rate_hz), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle, norm = high**0.4996667741545416, 1 + k / q + k * k
    numerator = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    shelf = [*numerator, norm, 2 * (k * k - 1), 1 - k / q + k * k]
    return np.array([[number / norm for number in shelf], _high_pass(rate_hz)])


def _high_pass(rate_hz: int) -> list[float]:
    hz, q = 38.13547087602444, 0.5003270373238773
    k, k_48 = math.tan(math.pi * hz / rate_hz), math.tan(math.pi * hz / 48_000)
    norm, gain = 1 + k / q + k * k, 1 + k_48 / q + k_48 * k_48
    return [gain / norm, -2 * gain / norm, gain / norm, 1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]


def _interpolation(factor: int) -> np.ndarray:
    """A matrix from a row of samples to the factor - 1 values after each: a sinc under a Kaiser window.

    float32 (ROW + 2 REACH - 1, ROW * (factor - 1)); the samples themselves are not computed again.
    """
    matrix = np.zeros((ROW + 2 * REACH - 1, factor - 1, ROW), np.float32)
    for phase in range(1, factor):
        places = np.arange(-REACH + 1, REACH + 1) - phase / factor
        taps = np.sinc(places) * np.i0(5 * np.sqrt(1 - (places / REACH) ** 2)) / np.i0(5)
        for at in range(ROW):
            matrix[at : at + 2 * REACH, phase - 1, at] = taps / taps.sum()
    return matrix.reshape(len(matrix), -1)


def _largest(values: np.ndarray) -> float:
    return float(max(values.max(initial=0), -values.min(initial=0)))


def _gated(powers: np.ndarray, gate_lu: float) -> float:
    """The mean power of the windows above both gates, 0 when none is."""
    above = _above(powers, gate_lu)
    return float(above.mean()) if len(above) else 0.0


def _above(powers: np.ndarray, gate_lu: float) -> np.ndarray:
    loud = powers[powers > _power(ABSOLUTE_GATE_LUFS)]
    return loud[loud > loud.mean() * 10 ** (gate_lu / 10)] if len(loud) else loud


def _range_lu(powers: np.ndarray) -> float | None:
    above = _above(powers, RANGE_GATE_LU)
    if not len(above):
        return None
    low, high = np.percentile(above, RANGE_PERCENTILES, method="nearest")
    return 10 * math.log10(high / low)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_LU) / 10))


def _lufs(power: float) -> float | None:
    return OFFSET_LU + 10 * math.log10(power) if 0 < power < math.inf else None


def _db(amplitude: float) -> float | None:
    return 20 * math.log10(amplitude) if 0 < amplitude < math.inf else None
