"""The log-mel spectrogram that the pretrained taggers were trained on, never in less than float32.

Mono at 16 kHz; 512-point frames every 256 samples, centred, with zeros beyond the ends; periodic Hann window; power; 96
bands of Slaney's mel scale up to 8 kHz; log10(1 + 10,000 x). It equals librosa's to 1e-6. The taggers' authors cast to
float16 before they multiply, which overflows on loud music; this is the same without the overflow.
"""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from worker.audio.decoded import Decoded
from worker.audio.slaney import filter_bank

RATE_HZ = 16_000
FFT, HOP, BANDS = 512, 256, 96
FRAMES_PER_S = RATE_HZ / HOP
# What a tagger hears at once: 2.992 s.
WINDOW_FRAMES = 187

GAIN = 10_000
# A megabyte of float64 frames at a time stays in the processor's cache.
FRAMES_A_BLOCK = 256
# A band is nonzero over a few bins: three dense products, each over the bins it needs, cost half of one over all.
GROUPS = ((0, 48), (48, 72), (72, BANDS))

HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)

Json = dict[str, Any]  # Any: JSON


def hear(track: Decoded, path: str) -> Json:
    """Write the log-mel spectrogram as raw little-endian float32, (frames, 96) in rows."""
    spectrogram = log_mel(track.mono(RATE_HZ))
    Path(path).write_bytes(spectrogram.astype("<f4", copy=False).data)
    return {"frames": len(spectrogram)}


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Mono float32 (samples,) at 16 kHz to float32 (1 + samples // 256, 96)."""
    frames = _frames(waveform)
    bands = np.empty((len(frames), BANDS), np.float32)
    windowed = np.empty((FRAMES_A_BLOCK, FFT), np.float64)
    for at in range(0, len(frames), FRAMES_A_BLOCK):
        block = frames[at : at + FRAMES_A_BLOCK]
        np.multiply(block, HANN, out=windowed[: len(block)])
        power = _power(windowed[: len(block)])
        for first, last, low, high, weights in FILTERS:
            np.matmul(power[:, low:high], weights, out=bands[at : at + len(block), first:last])
    bands += 1
    return np.log10(bands, out=bands)


def _frames(waveform: np.ndarray) -> np.ndarray:
    """Overlapping frames (frames, 512), a view of the waveform between zeros."""
    count = 1 + len(waveform) // HOP
    padded = np.zeros((count + 1) * HOP, np.float32)
    kept = waveform[: count * HOP]
    padded[HOP : HOP + len(kept)] = kept
    return np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]


def _power(windowed: np.ndarray) -> np.ndarray:
    """Squared magnitudes, float32 (frames, 257); the windowed frames are overwritten.

    The transform is in float64. In float32 it is 1.5 times faster, but its rounding of a loud tone leaks into faint
    bands: up to 1.4e-5 after the logarithm on real music, where librosa, in float64 too, has 1e-6.
    """
    spectrum = scipy.fft.rfft(windowed, axis=1, overwrite_x=True, workers=1).astype(np.complex64)
    parts = spectrum.view(np.float32)
    np.multiply(parts, parts, out=parts)
    return parts[:, 0::2] + parts[:, 1::2]


def _filters() -> list[tuple[int, int, int, int, np.ndarray]]:
    """Groups of bands with the bins that any of them needs, and their weights times the gain of the logarithm."""
    bank = filter_bank(rate_hz=RATE_HZ, fft=FFT, bands=BANDS)
    filters = []
    for first, last in GROUPS:
        needed = np.flatnonzero(bank[:, first:last].any(axis=1))
        low, high = int(needed[0]), int(needed[-1]) + 1
        filters.append((first, last, low, high, np.ascontiguousarray(bank[low:high, first:last] * GAIN, np.float32)))
    return filters


FILTERS = _filters()
