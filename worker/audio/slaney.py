"""Slaney's mel scale (Auditory Toolbox, 1998), linear up to 1 kHz and logarithmic above, and the filters on it."""

import numpy as np


def filter_bank(*, rate_hz: int, fft: int, bands: int) -> np.ndarray:
    """Triangles of equal area up to half the sampling rate, float32 (bins, bands)."""
    edges = _hz(np.linspace(0, _mel(rate_hz / 2), bands + 2))
    bins = np.fft.rfftfreq(fft, 1 / rate_hz)[:, None]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    return (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)


def _mel(hz: float) -> float:
    """Above 1 kHz: 27 steps to 6.4 kHz."""
    return 15 + 27 * float(np.log(hz / 1000) / np.log(6.4))


def _hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
