"""Which pieces are the same music, note for note or transposed."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worker.symbolic.piece import Piece


class Likeness(NamedTuple):
    """The first piece with the same notes, the first with the same ones so many semitones lower, each if there is."""

    same_as: int | None = None
    transposed_of: int | None = None
    transposed_by: int | None = None


class _Print(NamedTuple):
    exact: bytes
    shape: bytes
    lowest: int


def find(pieces: Sequence[Piece | None]) -> list[Likeness]:
    """A likeness a piece; those without notes are like nobody."""
    firsts: dict[bytes, int] = {}
    shapes: dict[bytes, tuple[int, int]] = {}
    return [
        Likeness() if piece is None or not len(piece.notes) else _compare(_print(piece), place, firsts, shapes)
        for place, piece in enumerate(pieces)
    ]


def exact(piece: Piece) -> bytes:
    """What pieces with the same notes have in common, and no others."""
    return _print(piece).exact if len(piece.notes) else b""


def _compare(print_: _Print, place: int, firsts: dict[bytes, int], shapes: dict[bytes, tuple[int, int]]) -> Likeness:
    same = firsts.setdefault(print_.exact, place)
    first, lowest = shapes.setdefault(print_.shape, (place, print_.lowest))
    same_as = None if same == place else same
    steps = print_.lowest - lowest
    return Likeness(same_as, first, steps) if steps else Likeness(same_as)


def _print(piece: Piece) -> _Print:
    """Onsets, durations and pitches, whatever voice has them; drums stand where they are when music is transposed."""
    notes = piece.notes
    is_drum = np.array([voice.is_drum for voice in piece.voices], bool)[notes["voice"]]
    pitches = notes["pitch"].astype(np.int64)
    lowest = int(pitches[~is_drum].min()) if not is_drum.all() else 0
    times = (notes["onset"].astype(np.int64), notes["duration"].astype(np.int64))
    exact = _hash(np.column_stack([*times, pitches]))
    # 1,000 keeps drums apart from the notes.
    shape = _hash(np.column_stack([*times, np.where(is_drum, pitches + 1_000, pitches - lowest)]))
    return _Print(exact, shape, lowest)


def _hash(rows: np.ndarray) -> bytes:
    ordered = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    return hashlib.blake2b(np.ascontiguousarray(ordered).tobytes(), digest_size=16).digest()
