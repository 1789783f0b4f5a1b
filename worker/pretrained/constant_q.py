"""The numbers behind a constant-Q transform that goes down by octaves: kernels for the top one, and a filter to halve.

The recursion of Schörkhuber & Klapuri (2010), as nnAudio's CQT2010v2 has it and as Basic Pitch was trained on: the same
36 kernels serve all nine octaves, since halving the sample rate lowers whatever they hear by an octave.
"""

import numpy as np
from scipy import signal

RATE = 22_050
HOP = 256
LOWEST_HZ = 27.5
BINS_AN_OCTAVE = 36
# Up to 10.3 kHz: the next semitone would pass half the sample rate.
BINS = 309
OCTAVES = 9
# Samples a kernel spans; the longest of the top octave has 216.
SPAN = 256
# Samples that one product halves to: large enough for BLAS, small enough that the band of its matrix is not all zeros.
BLOCK = 128
TAPS = 256

_Q = 1 / (2 ** (1 / BINS_AN_OCTAVE) - 1)


def kernels() -> np.ndarray:
    """What frames of 256 samples are multiplied by: (256, 72) float32, the 36 real parts before the imaginary ones."""
    top_hz = LOWEST_HZ * 2 ** ((BINS - BINS_AN_OCTAVE + np.arange(BINS_AN_OCTAVE)) / BINS_AN_OCTAVE)
    every = np.stack([_kernel(hz) for hz in top_hz], axis=1)
    return np.concatenate([every.real, every.imag], axis=1).astype(np.float32)


def _kernel(hz: float) -> np.ndarray:
    """A complex oscillation under a periodic Hann window, of absolute sum 1, centred as nnAudio does."""
    length = int(np.ceil(_Q * RATE / hz))
    window = signal.get_window("hann", length, fftbins=True)
    # nnAudio floors half of the *negative* length, so that an odd kernel begins one sample further from its middle.
    times = np.arange(length) + (-length) // 2
    wave = window * np.exp(2j * np.pi * hz / RATE * times)
    start = int(np.ceil((SPAN - length) / 2)) - length % 2
    return np.pad(wave / np.abs(wave).sum(), (start, SPAN - start - length))


def lengths() -> np.ndarray:
    """Samples that each bin hears at the full rate, (309,) float32: its power is multiplied by them."""
    return np.ceil(_Q * RATE / (LOWEST_HZ * 2 ** (np.arange(BINS) / BINS_AN_OCTAVE))).astype(np.float32)


def halving() -> np.ndarray:
    """The low-pass filter before every second sample is dropped, as a matrix: (510, 128) float32.

    A product takes 510 neighbouring samples to 128: five times as fast as a convolution of one channel.
    """
    lowpass = signal.firwin2(TAPS, [0.0, 0.5 / 1.001, 0.5 * 1.001, 1.0], [1.0, 1.0, 0.0, 0.0])
    matrix = np.zeros((2 * (BLOCK - 1) + TAPS, BLOCK), np.float32)
    for place in range(BLOCK):
        matrix[2 * place : 2 * place + TAPS, place] = lowpass
    return matrix
