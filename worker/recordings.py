"""The table of a dataset of audio: a row a track, the manifest's columns and ours (etude.…)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from worker.manifest import PREFIX

KEY = f"{PREFIX}key"

SCHEMA: Mapping[str, pa.DataType] = {
    "key": pa.string(), "file": pa.string(), "upload": pa.string(), "content": pa.string(), "start_s": pa.float64(),
    "end_s": pa.float64(), "duration_s": pa.float64(), "same_as": pa.int64(), "fault": pa.string(),
    "reason": pa.string(),
}  # fmt: skip


@dataclass(frozen=True)
class Track:
    """One row: what to hear, where its bytes are, and why it cannot be used, if it cannot."""

    number: int
    key: str
    file: str
    upload: str | None  # the SHA-256 of the uploaded file
    content: str
    start_s: float | None
    end_s: float | None
    duration_s: float | None
    same_as: int | None  # the number of the first track that sounds the same
    fault: str | None
    reason: str | None


def content_of(upload: str, start_s: float | None, end_s: float | None) -> str:
    """What is heard, as a SHA-256: of a whole file its own."""
    if start_s is None and end_s is None:
        return upload
    return hashlib.sha256(f"{upload}|{start_s}|{end_s}".encode()).hexdigest()


def columns(tracks: Sequence[Track]) -> dict[str, pa.Array]:
    """Our columns of the table."""
    return {
        f"{PREFIX}{name}": pa.array([getattr(track, name) for track in tracks], kind) for name, kind in SCHEMA.items()
    }


def read(paths: Sequence[Path], *, first: int = 0) -> list[Track]:
    """The tracks of a dataset, numbered from `first`."""
    rows: list[Track] = []
    for path in paths:
        table = pq.read_table(path, columns=[f"{PREFIX}{name}" for name in SCHEMA])
        for row in table.rename_columns(list(SCHEMA)).to_pylist():
            rows.append(_track(row, first + len(rows)))
    return rows


def _track(row: dict[str, Any], number: int) -> Track:
    return Track(number=number, **row)
