"""A piece as JSON, for those who read it with a program."""

from typing import Any

import numpy as np

from worker.symbolic.piece import TICKS, Bars, Piece

# Times are said to a millionth of a quarter: a tick is a hundred of them.
DIGITS = 6

Json = dict[str, Any]  # Any: JSON


def describe(piece: Piece) -> Json:
    """Times in quarters; a note is [onset, duration, pitch, velocity, voice], and its voice a place in `voices`."""
    notes = piece.notes
    columns = (_quarters(notes["onset"]), _quarters(notes["duration"]))
    rest = (notes[field].tolist() for field in ("pitch", "velocity", "voice"))
    return {
        "name": piece.name,
        "voices": [voice._asdict() for voice in piece.voices],
        "tempi": [{"at": _quarter(tempo.tick), "bpm": tempo.bpm} for tempo in piece.tempi],
        "meters": [{"at": _quarter(each.tick), "beats": each.beats, "unit": each.unit} for each in piece.meters],
        "keys": [{"at": _quarter(key.tick), "sharps": key.sharps, "mode": key.mode} for key in piece.keys],
        "pickup": _quarter(piece.pickup),
        "bars": len(Bars(piece)) if len(notes) else 0,
        "notes": [list(note) for note in zip(*columns, *rest, strict=True)],
    }


def _quarters(ticks: np.ndarray) -> list[float]:
    return [round(value, DIGITS) for value in (ticks / TICKS).tolist()]


def _quarter(tick: int) -> float:
    return round(tick / TICKS, DIGITS)
