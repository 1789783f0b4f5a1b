"""Canonical Parquet as arrays: numbers as float64 with NaN for a missing cell, all else as Texts.

Rows keep the order of the files; columns are found by name and in any order.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# The row group of canonical files: decoding more at once only costs memory.
BATCH_ROWS = 65_536
MISSING = -1


@dataclass(frozen=True)
class Texts:
    """A column of words: `codes[i]` is the place of row i's word in `words`, MISSING where the cell is empty."""

    words: list[str]
    codes: np.ndarray
    boolean: bool = False


Column = np.ndarray | Texts
Table = Mapping[str, Column]


class Distant(Protocol):
    """A file elsewhere, whose footer is known."""

    @property
    def footer(self) -> pq.FileMetaData: ...

    def open(self, group: int, columns: Sequence[str]) -> AbstractContextManager[pq.ParquetFile]:
        """The file, of which these columns of a row group can be read meanwhile; any thread may ask."""


File = Path | Distant


def _footer(file: File) -> pq.FileMetaData:
    return pq.read_metadata(file) if isinstance(file, Path) else file.footer


def count_rows(files: Sequence[File]) -> int:
    """Rows of all files together, from their footers."""
    return sum(_footer(file).num_rows for file in files)


def schema(files: Sequence[File]) -> dict[str, pa.DataType]:
    """Name and Arrow type of every column, in file order."""
    found = _footer(files[0]).schema.to_arrow_schema()
    return {field.name: field.type for field in found}


def no_rows(files: Sequence[File]) -> pa.RecordBatch:
    """A batch of the table's columns and none of its rows."""
    found = _footer(files[0]).schema.to_arrow_schema()
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in found.types], names=found.names)


def batches(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read the named columns as a stream of batches."""
    for path in paths:
        # pre_buffer reads every row group ahead, so that memory would grow with the file.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=list(columns))


@dataclass(frozen=True)
class Piece:
    """A row group of a file, or a part of one; `first` is the number of its first row in the whole table."""

    file: File
    footer: pq.FileMetaData = field(repr=False, compare=False)
    place: int
    first: int
    rows: int
    skipped: int = 0  # rows of the group before the first


def pieces(files: Sequence[File]) -> list[Piece]:
    """The parts of a table that can be read on their own, in order."""
    found: list[Piece] = []
    first = 0
    for file in files:
        footer = _footer(file)
        for place in range(footer.num_row_groups):
            rows = footer.row_group(place).num_rows
            found.append(Piece(file, footer, place, first, rows))
            first += rows
    return found


def within(pieces: Sequence[Piece], first: int, end: int) -> list[Piece]:
    """Of these pieces what lies between two rows, the second not included."""
    found = []
    # Of thousands of pieces a chunk has a few.
    start = max(0, bisect_right(pieces, first, key=lambda piece: piece.first) - 1)
    for piece in takewhile(lambda piece: piece.first < end, islice(pieces, start, None)):
        low, high = max(first, piece.first), min(end, piece.first + piece.rows)
        if low < high:
            found.append(replace(piece, first=low, rows=high - low, skipped=piece.skipped + low - piece.first))
    return found


def _open(piece: Piece, columns: Sequence[str]) -> AbstractContextManager[pq.ParquetFile]:
    if not isinstance(piece.file, Path):
        return piece.file.open(piece.place, columns)
    # Mapped, it is decoded from where the kernel has it; only the piece's own pages are touched.
    # The footer of a long table has megabytes, and is read once.
    return pq.ParquetFile(piece.file, metadata=piece.footer, pre_buffer=False, memory_map=True)


def read_piece(piece: Piece, columns: Sequence[str], *, rows: int) -> Iterator[pa.RecordBatch]:
    """Read one piece in the caller's thread alone, as batches of at most `rows` rows."""
    skipped, left = piece.skipped, piece.rows
    with _open(piece, columns) as file:
        for batch in file.iter_batches(rows, row_groups=[piece.place], columns=list(columns), use_threads=False):
            part = batch.slice(min(skipped, batch.num_rows), left)
            skipped, left = max(0, skipped - batch.num_rows), left - part.num_rows
            if part.num_rows:
                yield part
            if left == 0:
                return


def read(paths: Sequence[Path], columns: Sequence[str]) -> dict[str, Column]:
    """Read whole columns; holds the arrays themselves and one batch beside them."""
    builders = {name: _builder(kind, count_rows(paths)) for name, kind in schema(paths).items() if name in set(columns)}
    for batch in batches(paths, columns):
        for name, builder in builders.items():
            builder.add(batch.column(name))
    return {name: builders[name].done() for name in columns}


def column(array: pa.Array) -> Column:
    """Turn one Arrow column into float64, without a copy where it can, or Texts."""
    if _is_number(array.type):
        return array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    builder = _builder(array.type, len(array))
    builder.add(array)
    return builder.done()


def take(column: Column, rows: np.ndarray) -> Column:
    """Some rows of a column."""
    if isinstance(column, Texts):
        return Texts(column.words, column.codes[rows], boolean=column.boolean)
    return column[rows]


def is_missing(column: Column) -> np.ndarray:
    """True where the cell is empty, shape (rows,)."""
    return column.codes == MISSING if isinstance(column, Texts) else np.isnan(column)


def labels(column: Column) -> Texts:
    """A column read as names: whole numbers as their digits, other numbers as they print, words untouched."""
    if isinstance(column, Texts):
        return column
    present = ~np.isnan(column)
    values, codes = np.unique(column[present], return_inverse=True)
    filled = np.full(len(column), MISSING, np.int32)
    filled[present] = codes
    return Texts([str(int(value)) if value.is_integer() else repr(value) for value in values.tolist()], filled)


def fingerprints(columns: Iterable[Column]) -> np.ndarray:
    """One uint64 a row, equal for rows equal in all columns (SplitMix64; two unlike rows collide once in 2**64)."""
    total: np.ndarray | None = None
    for place, each in enumerate(columns, start=1):
        cells = each.codes.astype(np.int64) if isinstance(each, Texts) else np.where(np.isnan(each), np.nan, each + 0.0)
        mixed = _mix(cells.view(np.uint64) + np.uint64(place))
        total = mixed if total is None else _mix(total ^ mixed)
    return np.empty(0, np.uint64) if total is None else total


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class _Numbers:
    """Fills one float64 array batch by batch."""

    def __init__(self, rows: int) -> None:
        self._values, self._filled = np.empty(rows, np.float64), 0

    def add(self, array: pa.Array) -> None:
        self._values[self._filled : self._filled + len(array)] = array.to_numpy(zero_copy_only=False)
        self._filled += len(array)

    def done(self) -> Column:
        return self._values


class _Words:
    """Fills one array of codes batch by batch, with one list of words for all of them."""

    def __init__(self, rows: int, *, boolean: bool) -> None:
        self._codes, self._filled, self._boolean = np.empty(rows, np.int32), 0, boolean
        self._places: dict[str, int] = {"false": 0, "true": 1} if boolean else {}

    def add(self, array: pa.Array) -> None:
        coded = array.cast(pa.string()).dictionary_encode()
        places = [self._places.setdefault(word, len(self._places)) for word in coded.dictionary.to_pylist()]
        codes = np.array([*places, MISSING], np.int32)[coded.indices.fill_null(len(places)).to_numpy()]
        self._codes[self._filled : self._filled + len(array)] = codes
        self._filled += len(array)

    def done(self) -> Column:
        return Texts(list(self._places), self._codes, boolean=self._boolean)


def _builder(kind: pa.DataType, rows: int) -> _Numbers | _Words:
    return _Numbers(rows) if _is_number(kind) else _Words(rows, boolean=pa.types.is_boolean(kind))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
