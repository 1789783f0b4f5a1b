"""The technical quality of a recording, measured while it is decoded: level, silence, clipping, offset."""

import math
from typing import Any

import numpy as np

SILENCE_DBFS = -60.0
# The smallest step of 24 bits: digital silence has no level, and JSON no minus infinity.
FLOOR_DBFS = -144.0
FRAME_S = 0.05
# Recordings are clipped at full scale, or a little below it by a fader afterwards.
CLIPPING_LEVEL = 0.98
CLIPPING_RUN = 3
# One sample in 10,000 is 4 ms a second at 44.1 kHz, which is heard; limiters and single peaks stay below a tenth of it.
CLIPPED_SHARE = 1e-4
DC_OFFSET = 0.01
# A tagger hears 2.992 s at once.
SHORTEST_S = 3.0

Json = dict[str, Any]  # Any: JSON


class Rail:
    """How many samples stand in runs of three or more at the highest level of a signal, in any channel.

    The highest level is known at the end only: each time that a higher one comes, counting begins anew.
    """

    def __init__(self, channels: int) -> None:
        self.level = 0.0
        self.samples = 0
        self._runs = np.zeros(channels, np.int64)  # at the end of the last block

    def take(self, block: np.ndarray) -> None:
        highest = float(block.max())
        if highest > self.level:
            self.level, self.samples, self._runs = highest, 0, np.zeros_like(self._runs)
        if highest < max(self.level, CLIPPING_LEVEL):
            self._runs[:] = 0
            return
        for channel, is_at in enumerate((block >= self.level).T):
            self._count(channel, is_at)

    def _count(self, channel: int, is_at: np.ndarray) -> None:
        before = int(self._runs[channel])
        edges = np.flatnonzero(np.diff(is_at, prepend=False, append=False))
        lengths = edges[1::2] - edges[::2]
        if len(lengths) and edges[0] == 0:
            lengths[0] += before
            # A run that was long enough before is counted already.
            self.samples -= before if before >= CLIPPING_RUN else 0
        self.samples += int(lengths[lengths >= CLIPPING_RUN].sum())
        self._runs[channel] = lengths[-1] if is_at[-1] else 0


class Meter:
    """Figures of a whole track from blocks of float32 (frames, channels), full scale 1; levels in dB of full scale.

    `clipped_share`: of all samples, those in runs of three or more at the track's own highest (or lowest) value, where
    that is 0.98 or more. `silence_share`: of the frames of 50 ms, those whose root mean square is below -60 dB.
    `dc_offset`: the mean of the channel in which it is farthest from 0.
    """

    def __init__(self, *, rate_hz: int, channels: int) -> None:
        self._rate_hz, self._channels = rate_hz, channels
        self._frame = round(rate_hz * FRAME_S)
        self._frames = 0
        self._rails = (Rail(channels), Rail(channels))
        self._sums = np.zeros(channels)
        self._rest = np.zeros((0, channels), np.float32)  # of the frame of 50 ms that is not full yet
        self._energy = 0.0
        self._counted = self._silent = 0
        self._channels_agree = channels == 2

    def take(self, block: np.ndarray) -> None:
        self._frames += len(block)
        self._rails[0].take(block)
        self._rails[1].take(-block)
        # As a product, a tenth of what block.sum(axis=0) costs.
        self._sums += np.ones(len(block), np.float32) @ block
        self._channels_agree = self._channels_agree and np.array_equal(block[:, 0], block[:, 1])
        held = np.concatenate([self._rest, block])
        full = len(held) // self._frame * self._frame
        self._weigh(held[:full].reshape(-1, self._frame * self._channels))
        self._rest = held[full:].copy()

    def _weigh(self, rows: np.ndarray) -> None:
        """A frame of 50 ms a row, of all channels."""
        energies = np.einsum("fs,fs->f", rows, rows)
        self._energy += float(energies.sum(dtype=np.float64))
        self._counted += len(rows)
        self._silent += int(np.count_nonzero(energies < 10 ** (SILENCE_DBFS / 10) * rows.shape[1]))

    def done(self) -> Json:
        if self._counted == 0:
            self._weigh(self._rest.reshape(1, -1))
        else:
            self._energy += float(np.einsum("fs,fs->", self._rest, self._rest))
        samples = max(1, self._frames * self._channels)
        peak = max(rail.level for rail in self._rails)
        figures: Json = {
            "duration_s": self._frames / self._rate_hz,
            "rate_hz": self._rate_hz,
            "channels": self._channels,
            "peak_dbfs": _decibels(peak),
            "rms_dbfs": _decibels(math.sqrt(self._energy / samples)),
            "silent": _decibels(peak) < SILENCE_DBFS,
            "silence_share": self._silent / max(1, self._counted),
            "clipped_share": sum(rail.samples for rail in self._rails) / samples,
            "dc_offset": float(max(self._sums / max(1, self._frames), key=abs)),
        }
        return {**figures, "flags": self._flags(figures)}

    def _flags(self, figures: Json) -> list[str]:
        raised = {
            "silent": figures["silent"],
            "clipped": figures["clipped_share"] > CLIPPED_SHARE,
            "dc_offset": abs(figures["dc_offset"]) > DC_OFFSET,
            "too_short": figures["duration_s"] < SHORTEST_S,
            "mono_as_stereo": self._channels_agree and not figures["silent"],
        }
        return [flag for flag, is_raised in raised.items() if is_raised]


def _decibels(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DBFS
