"""The two tables of a dataset of pieces: a row a piece, a row a note; written by its ingest, read by every training."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worker.formats import canonical
from worker.symbolic import headers
from worker.symbolic.alike import Likeness
from worker.symbolic.clock import seconds
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import NOTE, Bars, Piece

# In this order: desk.fetch_parts answers in the one in which they were written.
PIECES, NOTES = "pieces.parquet", "notes.parquet"
HEADER = ("voice_names", "tempi", "meters", "keys")
PIECE_SCHEMA = pa.schema(
    [
        ("key", pa.string()), ("file", pa.string()), ("part", pa.string()), ("voices", pa.int32()),
        ("notes", pa.int32()), ("bars", pa.int32()), ("duration_s", pa.float64()), ("meters", pa.string()),
        ("tempi", pa.string()), ("keys", pa.string()), ("voice_names", pa.string()), ("pickup", pa.int64()),
        ("same_as", pa.int32()), ("transposed_of", pa.int32()), ("transposed_by", pa.int32()),
        ("fault", pa.string()), ("reason", pa.string()),
    ]
)  # fmt: skip
NOTE_SCHEMA = pa.schema(
    [
        ("piece", pa.int32()), ("onset", pa.int64()), ("duration", pa.int64()), ("pitch", pa.int16()),
        ("velocity", pa.int16()), ("voice", pa.int16()),
    ]
)  # fmt: skip
# Of pieces at a time: their headers may be long.
PIECES_A_BATCH = 1_000

Json = dict[str, Any]  # Any: cells of a table


class Row(NamedTuple):
    """A piece as it is stored: what was read under a key, or why it was not."""

    key: str
    file: str
    part: str | None
    piece: Piece | None
    fault: Flaw | None
    likeness: Likeness


@dataclass(frozen=True)
class Stored:
    """A piece of a dataset; without a fault and with notes, or None."""

    piece: Piece | None
    row: int
    key: str
    part: str | None
    same_as: int | None
    transposed_of: int | None


def write(folder: Path, rows: Sequence[Row]) -> Iterator[Path]:
    """Write both tables; yields each path once it is written, the pieces' first."""
    for _ in canonical.write(folder / PIECES, PIECE_SCHEMA, _piece_batches(rows)):
        pass
    yield folder / PIECES
    for _ in canonical.write(folder / NOTES, NOTE_SCHEMA, _note_batches(rows)):
        pass
    yield folder / NOTES


def load(paths: Sequence[Path]) -> list[Stored]:
    """Every piece of a dataset in the order of its rows, from what `desk.fetch_parts` has fetched."""
    cells, columns, ends = _open(paths)
    return [
        Stored(
            _rebuild(each, columns, slice(ends[row], ends[row + 1])) if ends[row] < ends[row + 1] else None,
            row, each["key"], each["part"], each["same_as"], each["transposed_of"],
        )
        for row, each in enumerate(cells)
    ]  # fmt: skip


def read(paths: Sequence[Path]) -> list[Row]:
    """The rows as they were written, those without notes among them."""
    cells, columns, ends = _open(paths)
    return [
        Row(
            each["key"], each["file"], each["part"], _rebuild(each, columns, slice(ends[row], ends[row + 1])),
            None if each["fault"] is None else Flaw(each["fault"], each["reason"]),
            Likeness(each["same_as"], each["transposed_of"], each["transposed_by"]),
        )
        for row, each in enumerate(cells)
    ]  # fmt: skip


def _open(paths: Sequence[Path]) -> tuple[list[Json], dict[str, np.ndarray], list[int]]:
    """Cells of the pieces, columns of the notes, and where the notes of each piece begin, and the last ends."""
    pieces, notes = paths
    cells = pq.read_table(pieces).to_pylist()
    table = pq.read_table(notes)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return cells, columns, np.searchsorted(columns["piece"], np.arange(len(cells) + 1)).tolist()


def _rebuild(cells: Json, columns: dict[str, np.ndarray], place: slice) -> Piece | None:
    if cells["fault"] is not None:
        return None
    notes = np.empty(place.stop - place.start, NOTE)
    for name in NOTE.names or ():
        notes[name] = columns[name][place]
    said = {name: json.loads(cells[name]) for name in HEADER}
    return headers.read(cells["key"], {**said, "voices": said["voice_names"], "pickup": cells["pickup"]}, notes)


def _piece_batches(rows: Sequence[Row]) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(rows), PIECES_A_BATCH):
        cells = [_cells(row) for row in rows[first : first + PIECES_A_BATCH]]
        yield pa.RecordBatch.from_pylist(cells, schema=PIECE_SCHEMA)


def _cells(row: Row) -> Json:
    piece = row.piece or Piece(row.key, np.empty(0, NOTE), ())
    said = headers.write(piece)
    texts = {"voice_names": said["voices"], "tempi": said["tempi"], "meters": said["meters"], "keys": said["keys"]}
    used = np.unique(piece.notes["voice"]).tolist()
    return {
        "key": row.key, "file": row.file, "part": row.part,
        "voices": sum(not piece.voices[place].is_drum for place in used),
        "notes": len(piece.notes), "bars": len(Bars(piece)) if len(piece.notes) else 0,
        "duration_s": seconds(piece, piece.length), "pickup": piece.pickup,
        **{name: json.dumps(each, ensure_ascii=False, allow_nan=False) for name, each in texts.items()},
        **row.likeness._asdict(),
        "fault": row.fault and row.fault.code, "reason": row.fault and row.fault.detail,
    }  # fmt: skip


def _note_batches(rows: Sequence[Row]) -> Iterator[pa.RecordBatch]:
    for place, row in enumerate(rows):
        if row.piece is None or not len(row.piece.notes):
            continue
        notes = row.piece.notes
        numbers = np.full(len(notes), place, np.int32)
        columns = [numbers, *(np.ascontiguousarray(notes[name]) for name in NOTE.names or ())]
        yield pa.RecordBatch.from_arrays([pa.array(each) for each in columns], schema=NOTE_SCHEMA)
