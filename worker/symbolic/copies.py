"""How much of what was generated stands in the training set: the longest passage of a piece, also transposed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worker.symbolic import onset_codes
from worker.symbolic.grid import Grid
from worker.symbolic.onset_codes import Events
from worker.symbolic.piece import Piece
from worker.symbolic.suffixes import Suffixes

DIGITS = 4


class Passage(NamedTuple):
    """A passage that stands in the training set, note for note; `transposed_by` semitones from there to here.

    `onsets` are moments at which something is struck, `notes` what is struck there in all, so a chord held for long is
    no long passage. Bars are counted from 1, a pickup is bar 0; the last onset may be held for another time than there.
    """

    onsets: int
    notes: int
    quarters: float
    bars: float
    at_quarter: float
    at_bar: int
    source_key: str
    source_bar: int
    transposed_by: int


class Copied(NamedTuple):
    """The longest passages of one piece: of all voices together and of the melody; None if no two onsets are there."""

    together: Passage | None
    melody: Passage | None


@dataclass(frozen=True)
class Corpus:
    """A training set, ready to be searched; all its pieces and those asked for are grids, or all are notes."""

    together: "_Searched"
    melody: "_Searched"

    @classmethod
    def build(cls, pieces: Mapping[str, Grid] | Mapping[str, Piece]) -> "Corpus":
        """Of pieces by their keys; a million onsets take seconds and some 200 bytes each."""
        coded = [onset_codes.of(piece) for piece in pieces.values()]
        keys = tuple(pieces)
        return cls(*(_Searched.of(keys, [each[part] for each in coded]) for part in (0, 1)))

    def longest(self, piece: Grid | Piece) -> Copied:
        """The passages with the most notes; of several the first in the piece."""
        together, melody = onset_codes.of(piece)
        return Copied(self.together.longest(together), self.melody.longest(melody))


@dataclass(frozen=True)
class _Searched:
    keys: tuple[str, ...]
    pitches: Sequence[np.ndarray]
    bars: Sequence[np.ndarray]
    suffixes: Suffixes

    @classmethod
    def of(cls, keys: tuple[str, ...], pieces: Sequence[Events]) -> "_Searched":
        pitches = [piece.pitches.astype(np.int16) for piece in pieces]
        bars = [piece.bars.astype(np.int32) for piece in pieces]
        return cls(keys, pitches, bars, Suffixes.of([piece.codes for piece in pieces]))

    def longest(self, piece: Events) -> Passage | None:
        lengths, found = self.suffixes.matches(piece.codes)
        if not lengths.any():
            return None
        before = np.concatenate([[0], np.cumsum(piece.notes)])
        starts = np.arange(len(lengths))
        # A match of so many codes is one of one onset more; without a code there is none.
        notes = np.where(lengths > 0, before[starts + lengths + 1] - before[starts], 0)
        start = int(notes.argmax())
        last = start + int(lengths[start])
        source, there = self.suffixes.where(int(found[start]))
        quarters = float(piece.ends[start : last + 1].max() - piece.onsets[start])
        return Passage(
            onsets=last + 1 - start,
            notes=int(notes[start]),
            quarters=round(quarters, DIGITS),
            bars=round(quarters / float(piece.bar_quarters[start]), DIGITS),
            at_quarter=round(float(piece.onsets[start]), DIGITS),
            at_bar=int(piece.bars[start]),
            source_key=self.keys[source],
            source_bar=int(self.bars[source][there]),
            transposed_by=int(piece.pitches[start]) - int(self.pitches[source][there]),
        )
