"""Where something begins to sound: the onset strength of each frame, and the onsets picked from it.

After SuperFlux (Böck & Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013): what a
logarithmic spectrum gains over the maximum of the neighbouring bands of the frame before, so that vibrato and glides
are no onsets.
"""

import numpy as np
import scipy.ndimage

from worker.audio.spectrum import BAND_HZ, FRAMES_PER_S

# Power relative to the loudest band of the track where the logarithm takes over: 40 dB below it. What is fainter, such
# as the noise of a codec, makes no onsets.
GAIN, TINY = 1e4, 1e-30
# Bass drum and bass: few bands, though the beat is often there alone. So much of theirs is added to the mean of all.
LOW_HZ, LOW_SHARE = 200.0, 1 / 3
LOW_BANDS = int(np.searchsorted(BAND_HZ, LOW_HZ))
FRAMES_A_BLOCK = 4096

# An onset is the largest within 70 ms, and a tenth of a neper above the mean of 0.4 s.
NEAR, AROUND, LEAST = 3, 17, 0.1
# A frame of 93 ms sees an onset before its middle is there: 12 ms on drums, 17 ms on clicks, measured.
EARLY_S = 0.015


def strength(bands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Onset strength of mel bands (frames, 128): of all bands and of those below 200 Hz, float32 (frames,) each.

    In nepers of power a frame, the same at any level of the recording.
    """
    gain = np.float32(GAIN / max(float(bands.max(initial=0)), TINY))
    whole, low = np.zeros(len(bands), np.float32), np.zeros(len(bands), np.float32)
    for at in range(1, len(bands), FRAMES_A_BLOCK):
        levels = np.log1p(bands[at - 1 : at + FRAMES_A_BLOCK] * gain)
        gained = np.maximum(levels[1:] - scipy.ndimage.maximum_filter1d(levels[:-1], 3, axis=1), 0)
        low[at : at + FRAMES_A_BLOCK] = gained[:, :LOW_BANDS].mean(axis=1)
        whole[at : at + FRAMES_A_BLOCK] = gained.mean(axis=1)
    return whole + np.float32(LOW_SHARE) * low, low


def pick(strengths: np.ndarray) -> np.ndarray:
    """The onsets of a recording, in frames, int64."""
    largest = scipy.ndimage.maximum_filter1d(strengths, 2 * NEAR + 1, mode="constant")
    mean = scipy.ndimage.uniform_filter1d(strengths, AROUND, mode="constant")
    return np.flatnonzero((strengths == largest) & (strengths >= mean + LEAST))


def seconds(frames: np.ndarray) -> np.ndarray:
    """Where in the recording an onset of these frames lies."""
    return np.maximum(frames / FRAMES_PER_S + EARLY_S, 0)
