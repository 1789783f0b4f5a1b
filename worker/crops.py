"""Segments of a log-mel spectrogram, as a network that hears learns from them and is asked about them."""

import numpy as np

from shared.audio_params import Listening
from worker.pretrained import musicnn

# Converted to float64 together: 100 MB.
ROWS_AT_ONCE = 512


def starts(windows: int, listening: Listening) -> np.ndarray:
    """The first window of each segment, evenly over the track; one that is shorter than a segment has one."""
    size = min(listening.windows_per_segment, windows)
    every = np.arange(0, windows - size + 1, size)
    if len(every) <= listening.segments_per_track:
        return every
    return every[np.linspace(0, len(every) - 1, listening.segments_per_track).round().astype(np.int64)]


def cut(mel: np.ndarray, listening: Listening) -> np.ndarray:
    """Log-mel (frames, 96) to segments (segments, windows * 187, 96) of its own dtype; a copy.

    A track that is shorter than a segment is repeated until it fills one. Raises ValueError for no frames.
    """
    windows = musicnn.windows(mel)
    places = starts(len(windows), listening)[:, None] + np.arange(listening.windows_per_segment)
    return windows[places % len(windows)].reshape(len(places), -1, mel.shape[1])


def over_time(x: np.ndarray) -> np.ndarray:
    """Mean and deviation of each band over a segment's frames: (rows, frames, bands) to float32 (rows, 2 * bands)."""
    made = np.empty((len(x), 2 * x.shape[2]), np.float32)
    for at in range(0, len(x), ROWS_AT_ONCE):
        some = x[at : at + ROWS_AT_ONCE].astype(np.float64)
        made[at : at + ROWS_AT_ONCE] = np.concatenate([some.mean(axis=1), some.std(axis=1)], axis=1)
    return made
