"""What a dataset of pieces is like: a report of every piece, and the profile of all together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shared.errors import FAULTS_SHOWN
from worker.symbolic import tonality
from worker.symbolic.clock import seconds
from worker.symbolic.piece import NOTE, TICKS, Bars, Piece
from worker.symbolic.stored import Row

Json = dict[str, Any]  # Any: JSON

# Of the meters and keys of one piece or of all.
LISTED = 50
EMPTY = "expected notes, received none"


def report(number: int, row: Row, keys: Sequence[str]) -> Json:
    """One piece, as GET /v1/datasets/{id}/pieces shows it; `keys` are those of all."""
    piece = row.piece or Piece(row.key, np.empty(0, NOTE), ())
    first = row.likeness.same_as if row.likeness.same_as is not None else row.likeness.transposed_of
    return {
        "row": number,
        "key": row.key,
        "file": row.file,
        "part": row.part,
        "voices": _voices(piece),
        "notes": len(piece.notes),
        "bars": len(Bars(piece)) if len(piece.notes) else 0,
        "length_quarters": round(piece.length / TICKS, 4),
        "duration_s": round(seconds(piece, piece.length), 3),
        "tempo": _tempo(piece),
        "meters": _meters(piece),
        "tonality": _tonality(piece),
        "flags": list(_flags(row)),
        "duplicate_of": None if first is None else keys[first],
        "transposed_by": row.likeness.transposed_by if row.likeness.same_as is None else None,
        "fault": None if row.fault is None else {"code": row.fault.code, "detail": row.fault.detail},
    }


def _voices(piece: Piece) -> list[Json]:
    notes = piece.notes[np.argsort(piece.notes["voice"], kind="stable")]
    edges = np.searchsorted(notes["voice"], np.arange(len(piece.voices) + 1)).tolist()
    return [
        {"name": voice.name, "program": voice.program, "is_drum": voice.is_drum, **_span(notes[first:end])}
        for voice, first, end in zip(piece.voices, edges, edges[1:], strict=False)
    ]


def _span(notes: np.ndarray) -> Json:
    """Of the notes of one voice, by onset: how many, from where to where, and whether one at a time."""
    ends = notes["onset"] + notes["duration"]
    pitches = notes["pitch"]
    return {
        "notes": len(notes),
        "lowest": int(pitches.min()) if len(notes) else None,
        "highest": int(pitches.max()) if len(notes) else None,
        "is_monophonic": bool(np.all(notes["onset"][1:] >= ends[:-1])),
    }


def _tempo(piece: Piece) -> Json | None:
    if not piece.tempi:
        return None
    bpms = [tempo.bpm for tempo in piece.tempi]
    return {
        "first_bpm": round(bpms[0], 2),
        "changes": len(bpms) - 1,
        "slowest_bpm": round(min(bpms), 2),
        "fastest_bpm": round(max(bpms), 2),
    }


def _meters(piece: Piece) -> Json:
    named = dict.fromkeys(f"{meter.beats}/{meter.unit}" for meter in piece.meters)
    return {"written": list(named)[:LISTED], "changes": max(0, len(piece.meters) - 1)}


def _tonality(piece: Piece) -> Json:
    heard = tonality.estimate(piece)
    written = piece.keys[0] if piece.keys else None
    return {
        "estimated": None if heard is None else heard._asdict(),
        "written": None
        if written is None
        else {
            "tonic": tonality.written(written.sharps, written.mode),
            "mode": written.mode,
            "sharps": written.sharps,
            "changes": len(piece.keys) - 1,
        },
    }


def _flags(row: Row) -> Iterator[str]:
    if row.piece is not None and not len(row.piece.notes):
        yield "empty"
    if row.likeness.same_as is not None:
        yield "duplicate"
    elif row.likeness.transposed_of is not None:
        yield "transposed_duplicate"


class Profile:
    """Counts over the reports, one at a time: all of them need not be held."""

    def __init__(self) -> None:
        self._pieces = self._usable = self._notes = self._bars = self._faulty = 0
        self._seconds = 0.0
        self._flags: Counter[str] = Counter()
        self._parts: Counter[str] = Counter()
        self._voices: Counter[int] = Counter()
        self._meters: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._faults: list[Json] = []
        self._ranges: list[Json] = []

    def take(self, said: Json) -> None:
        """Count a piece by its report."""
        self._pieces += 1
        self._flags.update(said["flags"])
        if fault := fault_of(said):
            self._faulty += 1
            self._faults += [fault] if len(self._faults) < FAULTS_SHOWN else []
            return
        self._usable += 1
        self._notes, self._bars = self._notes + said["notes"], self._bars + said["bars"]
        self._seconds += said["duration_s"]
        self._parts.update([said["part"]] if said["part"] else [])
        self._meters.update(said["meters"]["written"][:1] or ["unwritten"])
        key = said["tonality"]["estimated"]
        self._keys.update([f"{key['tonic']} {key['mode']}"] if key else [])
        sounding = [voice for voice in said["voices"] if voice["notes"] and not voice["is_drum"]]
        self._voices[len(sounding)] += 1
        self._widen(sounding)

    def _widen(self, sounding: Sequence[Json]) -> None:
        """As long as all have as many voices, the highest of them is compared with the highest, and so on."""
        if len(self._voices) > 1:
            self._ranges = []
            return
        chosen = [{"voice": each["name"], "lowest": each["lowest"], "highest": each["highest"]} for each in sounding]
        for known, each in zip(self._ranges, chosen, strict=False):
            known["lowest"] = min(known["lowest"], each["lowest"])
            known["highest"] = max(known["highest"], each["highest"])
        self._ranges = self._ranges or chosen

    def as_json(self) -> Json:
        """The dataset's profile, with the fields that every dataset's has."""
        symbolic = {
            "pieces": self._pieces,
            "usable": self._usable,
            "notes": self._notes,
            "bars": self._bars,
            "hours": round(self._seconds / 3600, 4),
            "parts": dict(self._parts.most_common()),
            "voices": {str(count): pieces for count, pieces in sorted(self._voices.items())},
            "meters": dict(self._meters.most_common(LISTED)),
            "keys": dict(self._keys.most_common()),
            "duplicates": {"exact": self._flags["duplicate"], "transposed": self._flags["transposed_duplicate"]},
            "ranges": self._ranges or None,
            "faults": self._faults,
            "faults_total": self._faulty,
        }
        roles: Json = {"target": [], "group": None, "id": "key", "mask": [], "drop": []}
        return {
            "rows": self._pieces, "columns": [], "roles": roles, "duplicates": 0, "symbolic": symbolic,
            "warnings": list(_warnings(symbolic)),
        }  # fmt: skip


def fault_of(said: Json) -> Json | None:
    """Why a piece cannot be used, by its report; one without notes can teach nothing."""
    place = {"row": said["row"], "file": said["key"]}
    if said["fault"] is not None:
        return {**place, **said["fault"]}
    return {**place, "code": "piece_empty", "detail": EMPTY} if "empty" in said["flags"] else None


def _warnings(symbolic: Json) -> Iterator[Json]:
    if symbolic["faults_total"]:
        first = symbolic["faults"][0]
        said = f"{symbolic['faults_total']:,} pieces cannot be used; {first['file']}: {first['detail']}."
        yield {"code": "pieces_unusable", "detail": said}
    exact, transposed = symbolic["duplicates"]["exact"], symbolic["duplicates"]["transposed"]
    if exact or transposed:
        said = (
            f"{exact:,} pieces have the notes of an earlier one, {transposed:,} more have them transposed: they stay "
            "on one side of a split."
        )
        yield {"code": "duplicates", "detail": said}
