"""A piece as JSON: what a client reads of one, and sends as one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from worker.symbolic import bounds
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import HIGHEST, LOWEST, NOTE, TICKS, Bars, Key, Meter, Piece, Tempo, Voice

# As long as a name that a file may bring, and longer.
MOST_LETTERS = 200
UNITS = tuple(1 << power for power in range(bounds.FINEST_UNIT.bit_length()))
# Times are said to a millionth of a quarter: a tick is a hundred of them.
DIGITS = 6
FIELDS = ("name", "voices", "tempi", "meters", "keys", "pickup", "notes", "bars")

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


def read(told: object) -> Piece:
    """What `describe` says, back to the tick; `voices` and `notes` are needed, `bars` is not read.

    Raises ValueError with the first thing that is not as expected.
    """
    piece = _object(told, "a piece", known=FIELDS)
    voices = tuple(_voice(each, f"voices[{at}]") for at, each in enumerate(_list(piece, "voices", bounds.MOST_VOICES)))
    if not voices:
        _refuse("voices", "at least one", "none")
    rows = [_note(row, f"notes[{at}]", len(voices)) for at, row in enumerate(_list(piece, "notes", bounds.MOST_NOTES))]
    made = Piece(
        name=_text(piece.get("name", ""), "name"),
        notes=np.array(rows, NOTE),
        voices=voices,
        tempi=_changes(piece, "tempi", _tempo),
        meters=_changes(piece, "meters", _meter),
        keys=_changes(piece, "keys", _key),
        pickup=_ticks(piece.get("pickup", 0), "pickup"),
    )
    try:
        return bounds.check(made).sorted()
    except Flaw as flaw:
        raise ValueError(flaw.detail) from flaw


def _voice(told: object, where: str) -> Voice:
    voice = _object(told, where, known=Voice._fields)
    is_drum = voice.get("is_drum", False)
    if not isinstance(is_drum, bool):
        _refuse(f"{where}.is_drum", "true or false", is_drum)
    program = _whole(voice.get("program", 0), f"{where}.program", 0, 127)
    return Voice(_text(voice.get("name"), f"{where}.name"), program, is_drum)


def _note(told: object, where: str, voices: int) -> tuple[int, int, int, int, int]:
    if not isinstance(told, Sequence) or isinstance(told, str) or len(told) != 5:
        _refuse(where, "[onset, duration, pitch, velocity, voice]", told)
    onset, duration = _ticks(told[0], f"{where}, onset"), _ticks(told[1], f"{where}, duration")
    if duration == 0:
        _refuse(f"{where}, duration", "more than 0 quarters", told[1])
    return (
        onset,
        duration,
        _whole(told[2], f"{where}, pitch", LOWEST, HIGHEST),
        _whole(told[3], f"{where}, velocity", 1, 127),
        _whole(told[4], f"{where}, voice", 0, voices - 1),
    )


def _changes(piece: Mapping[str, Any], name: str, make: Any) -> tuple[Any, ...]:  # Any: tempi, meters or keys
    told = _list(piece, name, bounds.MOST_CHANGES) if name in piece else ()
    return tuple(sorted((make(each, f"{name}[{at}]") for at, each in enumerate(told)), key=lambda made: made.tick))


def _tempo(told: object, where: str) -> Tempo:
    tempo = _object(told, where, known=("at", "bpm"))
    bpm = _number(tempo.get("bpm"), f"{where}.bpm")
    if not bounds.SLOWEST_BPM <= bpm <= bounds.FASTEST_BPM:
        _refuse(f"{where}.bpm", f"{bounds.SLOWEST_BPM:g} to {bounds.FASTEST_BPM:g}", bpm)
    return Tempo(_ticks(tempo.get("at", 0), f"{where}.at"), bpm)


def _meter(told: object, where: str) -> Meter:
    meter = _object(told, where, known=("at", "beats", "unit"))
    unit = _whole(meter.get("unit"), f"{where}.unit", UNITS[0], UNITS[-1])
    if unit not in UNITS:
        _refuse(f"{where}.unit", f"one of {', '.join(map(str, UNITS))}", unit)
    beats = _whole(meter.get("beats"), f"{where}.beats", 1, bounds.MOST_BEATS)
    return Meter(_ticks(meter.get("at", 0), f"{where}.at"), beats, unit)


def _key(told: object, where: str) -> Key:
    key = _object(told, where, known=("at", "sharps", "mode"))
    mode = key.get("mode")
    if mode not in ("major", "minor"):
        _refuse(f"{where}.mode", "major or minor", mode)
    return Key(_ticks(key.get("at", 0), f"{where}.at"), _whole(key.get("sharps"), f"{where}.sharps", -7, 7), mode)


def _object(told: object, where: str, *, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(told, Mapping):
        _refuse(where, "an object", told)
    if strange := sorted(str(name) for name in told if name not in known):
        _refuse(where, f"only {', '.join(known)}", strange[0])
    return told


def _list(piece: Mapping[str, Any], name: str, most: int) -> Sequence[Any]:
    told = piece.get(name)
    if not isinstance(told, Sequence) or isinstance(told, str):
        _refuse(name, "a list", told)
    if len(told) > most:
        _refuse(name, f"at most {most}", len(told))
    return told


def _text(told: object, where: str) -> str:
    if not isinstance(told, str) or len(told) > MOST_LETTERS:
        _refuse(where, f"a text of at most {MOST_LETTERS} letters", told)
    return told


def _whole(told: object, where: str, least: int, most: int) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or not least <= told <= most:
        _refuse(where, f"a whole number from {least} to {most}", told)
    return told


def _number(told: object, where: str) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        _refuse(where, "a number", told)
    return float(told)


def _ticks(told: object, where: str) -> int:
    quarters = _number(told, where)
    if not 0 <= quarters <= bounds.MOST_QUARTERS:
        _refuse(where, f"0 to {bounds.MOST_QUARTERS} quarters", told)
    return round(quarters * TICKS)


def _refuse(where: str, expected: str, received: object) -> NoReturn:
    raise ValueError(f"{where}: expected {expected}, received {str(received)[:60]}")
