"""A recording that is being heard: decoded once for everybody who listens."""

from collections.abc import Iterable
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
        self._path, self._limits, self._span = path, limits, {"start_s": start_s, "end_s": end_s}
        self.header = sniff(path, name, limits)
        self.sound = self._open()
        self._waves: dict[int, np.ndarray] = {}

    def _open(self) -> Sound:
        return Sound(self._path, self.header, self._limits, **self._span)

    def play(self, streams: Iterable[Stream], rates_hz: Iterable[int]) -> None:
        """Decode once, for all the streams and all the rates that anybody will ask `mono` for."""
        self._play(self.sound, list(streams), rates_hz)

    def mono(self, rate_hz: int) -> np.ndarray:
        """The mix to mono at a rate, float32 (samples,), read-only; decodes again for a rate that was not announced."""
        if rate_hz not in self._waves:
            self._play(self._open(), [], [rate_hz])
        return self._waves[rate_hz]

    def _play(self, sound: Sound, streams: list[Stream], rates_hz: Iterable[int]) -> None:
        waves = {rate_hz: Resampled(sound.rate_hz, rate_hz) for rate_hz in rates_hz}
        for block in sound.blocks():
            for stream in streams:
                stream.take(block)
            mono = downmix(block)
            for wave in waves.values():
                wave.take(mono)
        self._waves.update({rate_hz: wave.done() for rate_hz, wave in waves.items()})
