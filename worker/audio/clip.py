"""Keeps a few seconds of a recording as a WAV of 16 bits, to be played beside what was heard in it."""

import wave
from collections.abc import Mapping
from typing import Any

import numpy as np

from worker.audio.decoding import Sound, downmix
from worker.audio.limits import CLIP_S

Json = dict[str, Any]  # Any: JSON


class Clip:
    """Takes the blocks of a sound and writes those between two moments of the file, in one or two channels."""

    def __init__(self, sound: Sound, wanted: Mapping[str, Any]) -> None:
        self._path, self._rate_hz = wanted["path"], sound.rate_hz
        self._stereo = sound.channels == 2
        start_s = float(wanted["start_s"])
        self._start = round(start_s * sound.rate_hz)
        self._end = round(min(float(wanted["end_s"]), start_s + CLIP_S) * sound.rate_hz)
        self._at = sound.first
        self._kept: list[np.ndarray] = []

    def take(self, block: np.ndarray) -> None:
        kept = block[max(0, self._start - self._at) : max(0, self._end - self._at)]
        self._at += len(block)
        if len(kept):
            mixed = kept if self._stereo else downmix(kept)
            self._kept.append(np.clip(np.rint(mixed * 32768), -32768, 32767).astype("<i2"))

    def done(self) -> Json:
        frames = sum(map(len, self._kept))
        channels = 2 if self._stereo else 1
        with wave.open(self._path, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(self._rate_hz)
            for kept in self._kept:
                file.writeframes(kept.tobytes())
        return {"frames": frames, "channels": channels, "bytes": 44 + 2 * channels * frames}
