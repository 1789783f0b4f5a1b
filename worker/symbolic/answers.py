"""What the confined child has left behind, checked: it has read hostile bytes, and may no longer be our decoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shared.errors import JobFailed
from worker.symbolic import bounds, decode, headers
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import NOTE, Piece

# A line holds the header of one piece: its tempi, meters and keys.
LINE_CHARACTERS = 16 * bounds.MiB
KEY_CHARACTERS = 1_000
NOT_OURS = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
STRANGE = "the decoder gave an answer that cannot be one: the file is damaged, or made to do this"

Json = dict[str, Any]  # Any: JSON


class Named(Protocol):
    """A file as the client named it."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Reading:
    """What was read under a key, or why nothing was; `file` is the uploaded one that it lies in."""

    key: str
    file: str
    part: str | None
    piece: Piece | None
    fault: Flaw | None


@dataclass(frozen=True)
class Begun:
    """What the child was at: a file by number and name, and a piece in it."""

    file: int
    name: str
    place: int
    key: str
    part: str | None

    def behind(self) -> tuple[int, int]:
        """The file to go on with, and the place in it behind which."""
        return (self.file + 1, decode.WHOLE) if self.place == decode.WHOLE else (self.file, self.place)


@dataclass
class Answer:
    """What was read; what was begun last, and whether the child ended before anything came of it."""

    readings: list[Reading] = field(default_factory=list)
    last: Begun | None = None
    is_open: bool = False

    def demand_all(self, files: int) -> None:
        """Raise JobFailed when a child that says that it is done has left files out."""
        if self.last is None or self.last.file + 1 < files:
            raise _strange()


def collect(folder: Path, files: Sequence[Named]) -> Answer:
    """Everything that a child has finished, however it ended. Raises JobFailed for what cannot be its answer."""
    paths = [folder / name for name in (decode.HEADERS, decode.NOTES)]
    if any(path.is_symlink() for path in paths):
        raise _strange()
    if not all(path.is_file() for path in paths):
        return Answer()
    has_notes = paths[1].stat().st_size >= NOTE.itemsize
    notes = np.memmap(paths[1], NOTE, "r") if has_notes else np.empty(0, NOTE)
    reader = _Reader(files, notes.view(np.ndarray))
    with paths[0].open(encoding="utf-8") as lines:
        try:
            while (line := lines.readline(LINE_CHARACTERS)).endswith("\n"):
                reader.take(json.loads(line))
        except NOT_OURS as cause:
            raise _strange() from cause
    return reader.answer


class _Reader:
    """Goes through the lines: one for what is begun, one for what came of it, save for a file that could be opened."""

    def __init__(self, files: Sequence[Named], notes: np.ndarray) -> None:
        self.answer = Answer()
        self._files, self._notes, self._used = files, notes, 0

    def take(self, line: Json) -> None:
        if "place" in line:
            self.answer.last, self.answer.is_open = self._begun(line), True
            return
        begun = self.answer.last
        if begun is None or not self.answer.is_open:
            raise ValueError("an outcome of nothing")
        self.answer.is_open = False
        piece, fault = self._piece(begun, line) if "header" in line else (None, _flaw(*line["fault"]))
        self.answer.readings.append(Reading(begun.key, begun.name, begun.part, piece, fault))

    def _begun(self, line: Json) -> Begun:
        file, place, key, part = line["file"], line["place"], line["key"], line["part"]
        if type(file) is not int or type(place) is not int or not 0 <= file < len(self._files):
            raise ValueError("this is no place")
        name = self._files[file].name
        is_named = key == name or (isinstance(key, str) and key.startswith(f"{name}/") and key.isprintable())
        if not is_named or len(key) > KEY_CHARACTERS or part not in (None, *decode.PARTS.values()):
            raise ValueError("this is no key")
        return Begun(file, name, place, key, part)

    def _piece(self, begun: Begun, line: Json) -> tuple[Piece | None, Flaw | None]:
        count = line["notes"]
        if type(count) is not int or not 0 <= count <= len(self._notes) - self._used:
            raise ValueError("notes are missing")
        notes = self._notes[self._used : self._used + count]
        self._used += count
        try:
            piece = headers.read(begun.key, line["header"], notes)
            headers.check_notes(notes, len(piece.voices))
            return bounds.check(piece), None
        except (*NOT_OURS, Flaw):
            return None, Flaw("decoder_crashed", STRANGE)


def _flaw(code: str, detail: str) -> Flaw:
    if not (isinstance(code, str) and isinstance(detail, str) and code.isascii() and code.isidentifier()):
        raise ValueError("this is no fault")
    return Flaw(code[:64], detail)


def _strange() -> JobFailed:
    return JobFailed(f"The files cannot be read: {STRANGE}.", code="decoder_crashed")
