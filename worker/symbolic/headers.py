"""What a piece is besides its notes, as JSON: between the confined child and us, and in the dataset's table."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worker.symbolic import bounds
from worker.symbolic.piece import HIGHEST, LOWEST, NOTE, Key, Meter, Mode, Piece, Tempo, Voice

Json = dict[str, Any]  # Any: JSON

# The loudest that MIDI has.
LOUDEST = 127
FARTHEST_SHARPS = 7


def write(piece: Piece) -> Json:
    """Everything of a piece but its name and its notes."""
    return {
        "voices": [list(each) for each in piece.voices],
        "tempi": [list(each) for each in piece.tempi],
        "meters": [list(each) for each in piece.meters],
        "keys": [list(each) for each in piece.keys],
        "pickup": piece.pickup,
    }


def read(name: str, said: Json, notes: np.ndarray) -> Piece:
    """The piece again. Raises ValueError, KeyError or TypeError when it is none: hostile bytes may have said this."""
    return Piece(
        name=name,
        notes=notes,
        voices=tuple(_voice(*each) for each in _few(said["voices"], bounds.MOST_VOICES)),
        tempi=tuple(_tempo(*each) for each in _few(said["tempi"], bounds.MOST_CHANGES)),
        meters=tuple(_meter(*each) for each in _few(said["meters"], bounds.MOST_CHANGES)),
        keys=tuple(_key(*each) for each in _few(said["keys"], bounds.MOST_CHANGES)),
        pickup=_whole(said["pickup"], 0, bounds.MOST_TICKS),
    )


def check_notes(notes: np.ndarray, voices: int) -> np.ndarray:
    """The same notes. Raises ValueError when they are no notes of so many voices, in order."""
    if notes.dtype != NOTE or len(notes) > bounds.MOST_NOTES:
        raise ValueError("these are no notes of a piece")
    is_within = (
        (notes["onset"] >= 0)
        & (notes["onset"] <= bounds.MOST_TICKS)
        & (notes["duration"] > 0)
        & (notes["duration"] <= bounds.MOST_TICKS)
        & (notes["pitch"] >= LOWEST)
        & (notes["pitch"] <= HIGHEST)
        & (notes["velocity"] > 0)
        & (notes["velocity"] <= LOUDEST)
        & (notes["voice"] >= 0)
        & (notes["voice"] < voices)
    )
    if not is_within.all() or np.any(np.diff(notes["onset"]) < 0):
        raise ValueError("notes are out of bounds, or out of order")
    return notes


def _voice(name: str, program: int, is_drum: bool) -> Voice:
    if not isinstance(name, str) or len(name) > bounds.NAME_SIGNS or not isinstance(is_drum, bool):
        raise ValueError("this is no voice")
    return Voice(name, _whole(program, 0, 127), is_drum)


def _tempo(tick: int, bpm: float) -> Tempo:
    if not isinstance(bpm, float | int) or not bounds.SLOWEST_BPM <= bpm <= bounds.FASTEST_BPM:
        raise ValueError("this is no tempo")
    return Tempo(_whole(tick, 0, bounds.MOST_TICKS), float(bpm))


def _meter(tick: int, beats: int, unit: int) -> Meter:
    whole = _whole(unit, 1, bounds.FINEST_UNIT)
    if whole & (whole - 1):
        raise ValueError("this is no meter")
    return Meter(_whole(tick, 0, bounds.MOST_TICKS), _whole(beats, 1, bounds.MOST_BEATS), whole)


def _key(tick: int, sharps: int, mode: Mode) -> Key:
    if mode not in ("major", "minor"):
        raise ValueError("this is no key")
    return Key(_whole(tick, 0, bounds.MOST_TICKS), _whole(sharps, -FARTHEST_SHARPS, FARTHEST_SHARPS), mode)


def _few(entries: Sequence[Any], most: int) -> Sequence[Any]:
    if not isinstance(entries, list) or len(entries) > most:
        raise ValueError(f"expected a list of at most {most:,}")
    return entries


def _whole(number: int, low: int, high: int) -> int:
    if type(number) is not int or not low <= number <= high:
        raise ValueError(f"expected a whole number from {low} to {high}")
    return number
