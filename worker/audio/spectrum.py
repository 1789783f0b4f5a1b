"""The spectrum of a recording in frames, and figures of its timbre over time.

One magnitude spectrogram (2048-point frames every 512 samples at 22,050 Hz, centred, zeros beyond the ends, periodic
Hann window) is what every musical figure is derived from. The figures are those of librosa by the same names.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft

from worker.audio.slaney import filter_bank

RATE_HZ = 22_050
FFT, HOP, BANDS = 2048, 512, 128
FRAMES_PER_S = RATE_HZ / HOP
BIN_HZ = RATE_HZ / FFT
# A megabyte of spectrum at a time stays near the processor, whatever the length of the track.
FRAMES_A_BLOCK = 256

COEFFICIENTS = 13
ROLLOFF_SHARE = 0.85
# Below it librosa takes no logarithm.
LEAST_POWER = 1e-10
# What is 60 dB below the loudest frame is a pause, and 80 dB below the loudest band nothing.
PAUSE, FAINTEST_DB = 1e-6, 80.0

FIGURES = ("centroid", "bandwidth", "rolloff", "flatness", "zero_crossing_rate")
UNITS = ("_hz", "_hz", "_hz", "", "")

HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
HZ = np.arange(FFT // 2 + 1, dtype=np.float32) * np.float32(BIN_HZ)
MOMENTS = np.stack([np.ones_like(HZ), HZ, HZ**2], axis=1)

Json = dict[str, Any]  # Any: JSON


def magnitudes(waveform: np.ndarray) -> Iterator[np.ndarray]:
    """Mono float32 (samples,) to blocks of at most 256 frames, float32 (frames, 1025); 1 + samples // 512 in all."""
    count = 1 + len(waveform) // HOP
    for at in range(0, count, FRAMES_A_BLOCK):
        yield transform(waveform, range(at, min(at + FRAMES_A_BLOCK, count)), hop=HOP, window=HANN)


def transform(waveform: np.ndarray, frames: range, *, hop: int, window: np.ndarray) -> np.ndarray:
    """Magnitudes of some overlapping frames, as long as the window and with zeros beyond the ends, (frames, bins)."""
    size = len(window)
    first, last = frames.start * hop - size // 2, (frames.stop - 1) * hop + size // 2
    inside = waveform[max(first, 0) : last]
    padded = np.zeros(last - first, np.float32)
    padded[max(-first, 0) :][: len(inside)] = inside
    framed = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.abs(scipy.fft.rfft(framed * window, axis=1, overwrite_x=True, workers=1))


def mel(block: np.ndarray) -> np.ndarray:
    """Power in 128 bands of Slaney's mel scale up to 11,025 Hz, float32 (frames, 128)."""
    return (block * block) @ BANK


def timbre(block: np.ndarray) -> np.ndarray:
    """Centroid, bandwidth and roll-off in Hz and flatness of each frame, float64 (frames, 4); 0 without a sound."""
    sums = (block @ MOMENTS).astype(np.float64)
    total = np.maximum(sums[:, 0], np.finfo(np.float32).tiny)
    centroid, square = sums[:, 1] / total, sums[:, 2] / total
    bandwidth = np.sqrt(np.maximum(square - centroid**2, 0))
    reached = np.cumsum(block, axis=1) >= (ROLLOFF_SHARE * sums[:, :1]).astype(np.float32)
    rolloff = HZ[np.argmax(reached, axis=1)]
    return np.stack([centroid, bandwidth, rolloff, _flatness(block)], axis=1)


def _flatness(block: np.ndarray) -> np.ndarray:
    """Geometric over arithmetic mean of the power of each frame (Dubnov 2004): 1 for white noise, 0 for a tone."""
    power = np.maximum(block * block, LEAST_POWER)
    return np.exp(np.log(power).mean(axis=1, dtype=np.float64)) / power.mean(axis=1, dtype=np.float64)


def crossings(waveform: np.ndarray, frames: int) -> np.ndarray:
    """The share of samples of each frame whose sign is another than that of the sample before, (frames,)."""
    negative = np.signbit(waveform)
    changes = np.zeros((frames + 3) * HOP, bool)
    # The first frame begins two hops before the first sample.
    kept = np.flatnonzero(negative[1:] != negative[:-1]) + 1 + 2 * HOP
    changes[kept[kept < len(changes)]] = True
    a_hop = changes.reshape(-1, HOP).sum(axis=1)
    return np.convolve(a_hop, np.ones(4), "valid") / FFT


def describe(figures: np.ndarray, bands: np.ndarray) -> Json:
    """Mean and standard deviation over the frames that are no pause, and the mean of 13 cepstral coefficients.

    Figures (frames, 5) in the order of FIGURES, mel bands (frames, 128).
    """
    sounding = is_sounding(bands)
    mean, deviation = figures[sounding].mean(axis=0), figures[sounding].std(axis=0)
    said: Json = {}
    for place, (name, unit) in enumerate(zip(FIGURES, UNITS, strict=True)):
        said[f"{name}_mean{unit}"] = round(float(mean[place]), 6)
        said[f"{name}_std{unit}"] = round(float(deviation[place]), 6)
    return {**said, "mfcc": [round(value, 4) for value in cepstrum(bands[sounding]).tolist()]}


def nothing() -> Json:
    """What is said of silence."""
    names = [f"{name}_{what}{unit}" for name, unit in zip(FIGURES, UNITS, strict=True) for what in ("mean", "std")]
    return dict.fromkeys([*names, "mfcc"])


def is_sounding(bands: np.ndarray) -> np.ndarray:
    """Which frames are no pause, bool (frames,)."""
    power = bands.sum(axis=1)
    return power >= PAUSE * power.max()


def cepstrum(bands: np.ndarray) -> np.ndarray:
    """The mean of 13 mel-frequency cepstral coefficients (Davis & Mermelstein 1980), as librosa scales them."""
    decibels = np.maximum(bands, LEAST_POWER)
    np.log10(decibels, out=decibels)
    decibels *= 10
    np.maximum(decibels, decibels.max() - FAINTEST_DB, out=decibels)
    # The transform is linear: that of the mean is the mean of all.
    return scipy.fft.dct(decibels.mean(axis=0, dtype=np.float64), norm="ortho")[:COEFFICIENTS]


BANK = filter_bank(rate_hz=RATE_HZ, fft=FFT, bands=BANDS)
# Where the middle of each band lies.
BAND_HZ = BANK.T @ HZ / BANK.sum(axis=0)
