"""What a manifest says is true of its tracks: tempo, key, and files of notes, for the metrics of an analysis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import Row

from shared import sandbox
from shared.confinement import Bounds
from shared.containment.landlock import Reach
from shared.errors import JobFailed
from worker import quarantine
from worker.desk import Desk
from worker.heard import Truth

Json = dict[str, Any]

# A piano piece of an hour has some 40,000 notes.
BOUNDS = Bounds(cpu_s=60, wall_s=90.0, file_bytes=1024)


def read(desk: Desk, row: Row[Any], paths: Sequence[Path], *, first: int) -> dict[int, Truth]:
    """The truths of a dataset's tracks, numbered from `first`; empty when its manifest names none."""
    roles = {role: row.profile["roles"].get(role) for role in ("tempo", "key", "notes")}
    columns = [name for name in roles.values() if name]
    if not columns:
        return {}
    table = pq.read_table(paths[0], columns=columns)
    uploads = {file.name: file for file in desk.uploads(row)}
    found: dict[int, Truth] = {}
    for place in range(table.num_rows):
        cell = {role: table.column(name)[place].as_py() if name else None for role, name in roles.items()}
        truth = Truth(_number(cell["tempo"]), _text(cell["key"]), _notes(desk, uploads, cell["notes"]))
        if truth != Truth():
            found[first + place] = truth
        desk.check()
    return found


def _number(cell: Any) -> float | None:  # Any: a cell of the manifest
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None


def _text(cell: Any) -> str | None:  # Any: a cell of the manifest
    return None if cell is None else str(cell)


def _notes(desk: Desk, uploads: Mapping[str, Row[Any]], cell: Any) -> list[tuple[float, float, float]] | None:
    """The notes of a reference file; a file that is not there or cannot be read is no truth."""
    upload = None if cell is None else uploads.get(str(cell))
    if upload is None:
        return None
    try:
        with quarantine.watching(desk, [upload]):
            said = _decode(desk, upload)
    except JobFailed as failed:
        if failed.code == "reference_unreadable":
            return None
        raise
    return [(float(onset), float(offset), float(pitch)) for onset, offset, pitch in said["notes"]]


def _decode(desk: Desk, upload: Row[Any]) -> Json:
    path = desk.fetch(upload.key, name="reference", sha256=upload.sha256)
    file = {"name": upload.name, "path": str(path.resolve())}
    try:
        return sandbox.run(
            "worker.reference_notes", {"files": [file]}, bounds=BOUNDS, progress=lambda *_: desk.check(),
            reach=Reach((file["path"],)),
        )  # fmt: skip
    finally:
        path.unlink()
