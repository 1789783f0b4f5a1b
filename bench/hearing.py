"""The log-mel spectrogram of a minute of music on one thread, against librosa's, and how far apart the two are."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import soundfile
import soxr
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from bench import recordings
from bench.measurement import Measurement, compare
from bench.peers import librosa_mel
from worker.audio import mel
from worker.audio.decoding import downmix

SECONDS = 60
# Each takes some ten milliseconds.
TIMES = 20
APART = 5e-6

Front = Callable[[np.ndarray], np.ndarray]


def measure(rounds: int) -> list[Measurement]:
    clip = read_clip()
    with threadpool_limits(1):
        off = float(np.abs(mel.log_mel(clip) - librosa_mel.log_mel(clip)).max())
        pairs = [(_x_real_time(mel.log_mel, clip), _x_real_time(librosa_mel.log_mel, clip)) for _ in range(rounds)]
    note = f"{SECONDS} s of {len(clip):,} samples, 512-point frames every 256, 96 bands, log10(1 + 10,000 x)"
    return [
        compare("log-mel spectrogram, one thread, against librosa", pairs, unit="× real time", bar="≥ 2.2", note=note),
        compare(
            "the greatest difference to librosa's, against its limit",
            [(off, APART)],
            unit="log10",
            bar="≤ 1",
            note="of the same minute",
        ),
    ]


def read_clip() -> np.ndarray:
    """A minute of music, mono float32 at 16 kHz."""
    for path in recordings.soundtrack("drascula-music"):
        with soundfile.SoundFile(path) as file:
            if file.frames >= SECONDS * file.samplerate:
                mono = downmix(file.read(SECONDS * file.samplerate, dtype="float32", always_2d=True))
                return np.asarray(soxr.resample(mono, file.samplerate, mel.RATE_HZ))
    raise AssertionError("no track of a minute")


def _x_real_time(front: Front, clip: np.ndarray) -> float:
    took = []
    for _ in range(TIMES):
        began = time.process_time()
        front(clip)
        took.append(time.process_time() - began)
    return SECONDS / median(took)
