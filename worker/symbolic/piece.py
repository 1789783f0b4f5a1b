"""A piece as notes: what every reader makes and every writer takes."""

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

# Of a quarter: 2^5 · 3^2 · 5 · 7, so that thirty-seconds, triplets, quintuplets and septuplets fall on whole ones.
TICKS = 10_080
LOWEST, HIGHEST = 0, 127
USUAL_VELOCITY = 80
USUAL_BPM = 100.0

# `onset` and `duration` in ticks, `pitch` and `velocity` as in MIDI, `voice` a place in Piece.voices.
NOTE = np.dtype([("onset", "i8"), ("duration", "i8"), ("pitch", "i2"), ("velocity", "i2"), ("voice", "i2")])

Mode = Literal["major", "minor"]


class Voice(NamedTuple):
    """A part, a voice of a part, or a track of MIDI: `program` from 0, as General MIDI counts them."""

    name: str
    program: int = 0
    is_drum: bool = False


class Tempo(NamedTuple):
    """From `tick` on, so many quarters a minute."""

    tick: int
    bpm: float


class Meter(NamedTuple):
    """From `tick` on, bars of `beats` notes of the value 1/`unit`."""

    tick: int
    beats: int
    unit: int

    @property
    def bar_ticks(self) -> int:
        return self.beats * 4 * TICKS // self.unit


class Key(NamedTuple):
    """From `tick` on, a signature of so many sharps (flats below 0), and the mode that is written with it."""

    tick: int
    sharps: int
    mode: Mode


@dataclass(frozen=True)
class Piece:
    """One symbolic work. Notes are sorted by onset, voice and pitch; voices as written, the highest first by custom.

    `pickup` is the length of an incomplete first bar in ticks, 0 without one. Without meters it is in 4/4, without
    tempi at the usual tempo.
    """

    name: str
    notes: np.ndarray  # of NOTE
    voices: tuple[Voice, ...]
    tempi: tuple[Tempo, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[Key, ...] = ()
    pickup: int = 0

    @property
    def length(self) -> int:
        """Ticks until the last note has ended."""
        return int((self.notes["onset"] + self.notes["duration"]).max()) if len(self.notes) else 0

    def sorted(self) -> "Piece":
        """The same with its notes in order."""
        order = np.lexsort((self.notes["pitch"], self.notes["voice"], self.notes["onset"]))
        return replace(self, notes=self.notes[order])


@dataclass(frozen=True)
class Bars:
    """Where bars begin: the meter at each tick, worked out once."""

    piece: Piece
    starts: np.ndarray = field(init=False)  # ticks of the first `count` bars; the pickup, if any, is bar 0
    lengths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        starts, lengths = _bars(self.piece)
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "lengths", lengths)

    def __len__(self) -> int:
        return len(self.starts)

    def at(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The bar of each tick, counted from 0, and how far into it the tick is; a pickup counts from its bar's end."""
        bars = np.clip(np.searchsorted(self.starts, ticks, side="right") - 1, 0, len(self.starts) - 1)
        into = ticks - self.starts[bars]
        if self.piece.pickup:
            full = self.lengths[1] if len(self.lengths) > 1 else self.piece.pickup
            into = np.where(bars == 0, into + max(0, int(full) - self.piece.pickup), into)
        return bars, into


def _bars(piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    meters = piece.meters or (Meter(0, 4, 4),)
    length, starts, at = max(piece.length, 1), [0], 0
    if piece.pickup:
        at = piece.pickup
    else:
        starts = []
    place = 0
    while at < length:
        while place + 1 < len(meters) and meters[place + 1].tick <= at:
            place += 1
        starts.append(at)
        at += meters[place].bar_ticks
    return np.array(starts, np.int64), np.diff(np.array([*starts, at], np.int64))
