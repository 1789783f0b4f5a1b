"""A recording that is being heard: decoded once for everybody who listens."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from worker.audio.decoding import Resampled, Sound, downmix
from worker.audio.limits import AudioLimits
from worker.audio.sniff import sniff

Json = dict[str, Any]  # Any: JSON


class Stream(Protocol):
    """What is measured while the recording is decoded, block by block of float32 (frames, channels)."""

    def take(self, block: np.ndarray, /) -> None: ...

    def done(self) -> Json: ...


class Track:
    """A recording, or an excerpt of it, by its path; `sound` tells its rate, its channels and how it ended."""

    def __init__(
        self, path: Path, name: str, limits: AudioLimits, *, start_s: float | None = None, end_s: float | None = None
    ) -> None:
        self.header = sniff(path, name, limits)
        self.sound = Sound(path, self.header, limits, start_s=start_s, end_s=end_s)
        self._waves: dict[int, np.ndarray] = {}

    def play(self, streams: Collection[Stream], rates_hz: Collection[int]) -> None:
        """Decode once, for all the streams and all the rates that anybody will ask `mono` for."""
        waves = {rate_hz: Resampled(self.sound.rate_hz, rate_hz) for rate_hz in rates_hz}
        for block in self.sound.blocks():
            for stream in streams:
                stream.take(block)
            mono = downmix(block)
            for wave in waves.values():
                wave.take(mono)
        self._waves = {rate_hz: wave.done() for rate_hz, wave in waves.items()}

    def mono(self, rate_hz: int, /) -> np.ndarray:
        """The mix to mono at one of the rates that were announced, float32 (samples,), read-only."""
        return self._waves[rate_hz]
