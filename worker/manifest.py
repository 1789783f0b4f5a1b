"""The manifest of a dataset of audio: which row is about which uploaded file, and which rows cannot be used.

A row that cannot be used never stops the others: it stays in the table with the reason.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa

from shared import sorts
from shared.errors import Fault
from worker.formats.source import rejection

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
REFERENCE_SUFFIXES = frozenset({".mid", ".midi"})
MANIFEST = ("manifest.csv", "manifest.tsv")
# Manifests of ours, each with the rows of all before it: of a version whose labels were corrected
# (worker/correcting.py), and of one that has lost recordings (worker/erased_recordings.py).
CORRECTED, REMAINING = "etude.corrected.csv", "etude.remaining.csv"
WHOLE = (CORRECTED, REMAINING)

# The roles that only audio has, each with the names that people give to such a column.
ROLE_NAMES: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "path", "filename", "file_name", "audio", "audio_file", "track_file"),
    "start": ("start", "start_s", "start_time", "begin", "offset_s"),
    "end": ("end", "end_s", "end_time", "stop"),
    "tempo": ("true_tempo", "reference_tempo"),
    "key": ("true_key", "reference_key"),
    "notes": ("true_notes", "reference_notes"),
}
# Ours; a column of the client's may not begin so.
PREFIX = "etude."

Json = dict[str, Any]


class Flaw(NamedTuple):
    """Why a row cannot be used."""

    code: str
    detail: str


@dataclass(frozen=True)
class Entry:
    """One row: its key, the upload it is about, and the part of it in seconds; or why it cannot be used."""

    key: str
    file: str
    upload: str | None
    start_s: float | None = None
    end_s: float | None = None
    fault: Flaw | None = None


@dataclass(frozen=True)
class Uploads:
    """The uploaded names, by what they are."""

    manifest: str | None
    audio: list[str]
    references: list[str]


def sort(names: Sequence[str]) -> Uploads:
    """Tell the manifest from the recordings. Raises JobFailed when that cannot be told."""
    tables = [name for name in names if _suffix(name) in TABLE_SUFFIXES]
    ours = [name for name in tables if name in WHOLE]
    named = [name for name in tables if PurePosixPath(name).name.lower() in MANIFEST]
    chosen = ours or named or tables
    if len(chosen) > 1:
        said = f"expected one manifest, received {len(chosen)}: call it manifest.csv"
        faults = [Fault(said, file=name, code="manifest_ambiguous") for name in chosen]
        raise rejection(faults, len(faults))
    manifest = chosen[0] if chosen else None
    others = [name for name in names if name != manifest]
    references = [name for name in others if _suffix(name) in TABLE_SUFFIXES | REFERENCE_SUFFIXES]
    return Uploads(manifest, [name for name in others if name not in set(references)], references)


def without(uploads: Uploads) -> pa.Table:
    """What stands for a manifest where there is none: the files, and the folder of each when they have any."""
    folders = [str(PurePosixPath(name).parent) for name in uploads.audio]
    columns = {"file": pa.array(uploads.audio, pa.string())}
    if any(folder != "." for folder in folders):
        columns["folder"] = pa.array([None if folder == "." else folder for folder in folders], pa.string())
    return pa.table(columns)


def roles(names: Sequence[str], given: Json) -> dict[str, str]:
    """The column of each role that only audio has. Raises JobFailed when a named one is absent, or none is the file."""
    absent = [(role, given[role]) for role in ROLE_NAMES if given.get(role) and given[role] not in names]
    faults = [
        Fault(f"expected a column of the manifest, received {name!r}", pointer=f"/columns/{role}", column=name)
        for role, name in absent
    ]
    reserved = [name for name in names if name.startswith(PREFIX)]
    faults += [
        Fault(f"expected no column that begins with {PREFIX}", column=name, code="column_name") for name in reserved
    ]
    lowered = {name.lower(): name for name in reversed(names)}
    found = {
        role: given.get(role) or next((lowered[word] for word in words if word in lowered), None)
        for role, words in ROLE_NAMES.items()
    }
    if found["file"] is None:
        said = f"expected a column with the names of the files (file), received {', '.join(names[:20])}"
        faults.append(Fault(said, pointer="/columns/file", code="column_missing"))
    if faults:
        raise rejection(faults, len(faults))
    return {role: name for role, name in found.items() if name is not None}


def match(table: pa.Table, uploads: Uploads, found: Mapping[str, str], *, id: str | None) -> list[Entry]:
    """An entry a row, in order."""
    texts = table.column(found["file"]).cast(pa.string()).to_pylist()
    parts = list(zip(_seconds(table, found.get("start")), _seconds(table, found.get("end")), strict=True))
    known = _Names(uploads.audio)
    entries = [_entry(text, start, end, known) for text, (start, end) in zip(texts, parts, strict=True)]
    return _keyed(entries, None if id is None else table.column(id).cast(pa.string()).to_pylist())


def unnamed(entries: Sequence[Entry], uploads: Uploads) -> list[str]:
    """The uploaded files that no row is about."""
    used = {entry.upload for entry in entries}
    return [name for name in uploads.audio if name not in used]


def refuse_conflicts(entries: Sequence[Entry], labels: Sequence[Any]) -> list[Entry]:
    """Rows about the same part of the same file: repeats are left out, contradictions are all left out."""
    same: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.fault is None:
            same[entry.upload, entry.start_s, entry.end_s].append(place)
    refused = dict(enumerate(entries))
    for places in same.values():
        said = {tuple(map(str, labels[place])) for place in places}
        if len(said) > 1:
            detail = f"{len(places)} rows give this file {len(said)} different labels"
            refused.update({place: replace(entries[place], fault=Flaw("labels_differ", detail)) for place in places})
        else:
            detail = "an earlier row says the same of this file"
            refused.update({place: replace(entries[place], fault=Flaw("row_repeated", detail)) for place in places[1:]})
    return [refused[place] for place in range(len(entries))]


class _Names:
    """Uploads by full name, and by their last part where only one has it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._full = set(names)
        last = Counter(PurePosixPath(name).name for name in names)
        self._last = {PurePosixPath(name).name: name for name in names if last[PurePosixPath(name).name] == 1}

    def find(self, text: str) -> str | None:
        return text if text in self._full else self._last.get(PurePosixPath(text).name)


def _entry(text: str | None, start: float | None, end: float | None, known: _Names) -> Entry:
    if not text:
        return Entry("", "", None, fault=Flaw("file_missing", "the row names no file"))
    plain = unicodedata.normalize("NFC", text.strip()).replace("\\", "/").removeprefix("./")
    if plain.startswith("/") or ".." in plain.split("/") or plain[1:2] == ":":
        return Entry("", text, None, fault=Flaw("path_outside", "the name leads out of the dataset's folder"))
    upload = known.find(plain)
    if upload is None:
        return Entry("", text, None, fault=Flaw("file_missing", "no uploaded file has the name that the row has"))
    if not _is_part(start, end):
        said = f"expected numbers, 0 <= start < end in seconds, received {sorts.of(start)} to {sorts.of(end)}"
        return Entry("", text, upload, fault=Flaw("excerpt_invalid", said))
    return Entry("", text, upload, start, end)


def _is_part(start: float | None, end: float | None) -> bool:
    # NaN is neither more nor less than anything.
    return (start or 0.0) >= 0.0 and (end is None or end > (start or 0.0))


def _keyed(entries: list[Entry], ids: list[str | None] | None) -> list[Entry]:
    """Give every row a key of its own: its id, else its file, else its file and the part of it."""
    files = Counter(entry.file for entry in entries)

    def name(entry: Entry, place: int) -> str:
        if ids is not None and ids[place]:
            return str(ids[place])
        if files[entry.file] == 1 and entry.file:
            return entry.file
        return f"{entry.file}#{entry.start_s or 0:g}-{'' if entry.end_s is None else format(entry.end_s, 'g')}"

    names = [name(entry, place) for place, entry in enumerate(entries)]
    counts = Counter(names)
    return [
        replace(entry, key=named if counts[named] == 1 else f"{named}#row{place}")
        for place, (entry, named) in enumerate(zip(entries, names, strict=True))
    ]


def _seconds(table: pa.Table, name: str | None) -> Iterator[float | None]:
    if name is None:
        return iter([None] * table.num_rows)
    return map(_second, table.column(name).to_pylist())


def _second(cell: Any) -> float | None:  # Any: a cell of the manifest
    """A number of seconds; NaN, which is no part of anything, where the cell has something else."""
    if cell is None:
        return None
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
