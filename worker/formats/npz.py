"""NPZ: arrays X (n, d) with optional y, groups, ids and feature_names, or one 1-d array a column."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.formats.archive import StoredArray, unpack
from worker.formats.source import (
    BATCH_BYTES,
    BOOLEAN,
    INTEGER,
    NUMBER,
    ROWS_A_BATCH,
    TEXT,
    Faults,
    Reading,
    Types,
    check_names,
    check_rows,
    check_words,
    infinite_cells,
)

MATRIX, TITLES = "X", "feature_names"
# UTF-32, as NumPy stores text.
WIDEST_CHARACTER = 4
KINDS = {"b": BOOLEAN, "i": INTEGER, "u": INTEGER, "f": NUMBER, "U": TEXT, "S": TEXT, "M": TEXT}


@dataclass(frozen=True)
class Column:
    """One column of the table: where it stands in its array."""

    array: StoredArray
    place: int


class NpzSource:
    """Arrays of one length, as columns; their bytes lie unpacked on disk."""

    def __init__(self, path: Path, name: str, reading: Reading) -> None:
        self.name, self._limits = name, reading.limits
        self.faults = Faults(name)
        unpacked = unpack(path, reading.scratch.new_file(), self._limits, self.faults)
        arrays = {array.name: array for array in unpacked}
        titles = self._titles(arrays.pop(TITLES, None))
        self._arrays = list(arrays.values())
        placed = [pair for array in self._arrays for pair in self._columns(array, titles)]
        check_names([title for title, _ in placed], self._limits, self.faults)
        self._placed = dict(placed)
        self.rows = self._count_rows()
        self.types: dict[str, pa.DataType] = {title: self._type(title, c.array) for title, c in placed}

    def batches(self, types: Types) -> Iterator[pa.RecordBatch]:
        schema = pa.schema(list(types.items()))
        step = max(1, min(ROWS_A_BATCH, BATCH_BYTES // sum(a.dtype.itemsize * a.columns for a in self._arrays)))
        for first in range(0, self.rows, step):
            end = min(first + step, self.rows)
            read = {array.name: array.read(first, end) for array in self._arrays}
            columns = [self._convert(name, read[self._placed[name].array.name], first) for name in types]
            cast = [pc.cast(column, kind, safe=False) for column, kind in zip(columns, types.values(), strict=True)]
            yield pa.RecordBatch.from_arrays(cast, schema=schema)

    def _titles(self, array: StoredArray | None) -> list[str] | None:
        """The names of the matrix's columns, if the archive has them."""
        if array is None:
            return None
        if array.dtype.kind not in "US" or array.columns > 1 or array.rows > self._limits.columns:
            said = f"expected feature_names as at most {self._limits.columns} texts"
            raise self.faults.refuse("array_shape", said, column=TITLES)
        return [title or "" for title in self._text(array.read(0, array.rows)[:, 0], TITLES).to_pylist()]

    def _columns(self, array: StoredArray, titles: list[str] | None) -> list[tuple[str, Column]]:
        if len(array.shape) == 1:
            return [(array.name, Column(array, 0))]
        if array.columns > self._limits.columns:
            said = f"expected at most {self._limits.columns} columns, received {array.columns:,} in {array.name!r}"
            raise self.faults.refuse("table_too_many_columns", said)
        named = titles if array.name == MATRIX and titles is not None else None
        if named is not None and len(named) != array.columns:
            said = f"expected {array.columns} names for the columns of X, received {len(named)}"
            raise self.faults.refuse("array_shape", said, column=TITLES)
        names = named or [f"{array.name}{place}" for place in range(array.columns)]
        return [(name, Column(array, place)) for place, name in enumerate(names)]

    def _count_rows(self) -> int:
        rows = self._arrays[0].rows
        check_rows(rows, len(self._placed), self._limits, self.faults)
        for array in self._arrays[1:]:
            if array.rows != rows:
                said = f"expected {rows:,} rows as {self._arrays[0].name!r} has, received {array.rows:,}"
                raise self.faults.refuse("array_shape", said, column=array.name)
        if rows == 0:
            raise self.faults.refuse("dataset_empty", "expected rows, received none")
        return rows

    def _type(self, title: str, array: StoredArray) -> pa.DataType:
        kind = KINDS.get(array.dtype.kind)
        if kind is None:
            said = f"expected numbers, text, dates or booleans, received {str(array.dtype)[:80]}"
            raise self.faults.refuse("schema_not_flat", said, column=title)
        if array.dtype.kind in "US" and array.dtype.itemsize > WIDEST_CHARACTER * self._limits.field_bytes:
            said = f"expected texts of at most {self._limits.field_bytes:,} bytes, received {array.dtype}"
            raise self.faults.refuse("field_too_long", said, column=title)
        # Beyond int64 the digits would be lost one way or the other; the order and the size are kept.
        return NUMBER if array.dtype == np.uint64 else kind

    def _convert(self, name: str, block: np.ndarray, first_row: int) -> pa.Array:
        values = block[:, self._placed[name].place]
        if self.types[name] == TEXT:
            text = self._text(values, name)
            check_words(text, name, self._limits, self.faults, first_row=first_row)
            return text
        if self.types[name] != NUMBER:
            return pa.array(np.ascontiguousarray(values, values.dtype.newbyteorder("=")), self.types[name])
        # NaN is how NumPy says that a number is missing.
        column = pa.array(np.ascontiguousarray(values, np.float64), NUMBER, from_pandas=True)
        self.faults.add_infinite(*infinite_cells(column, first_row=first_row), column=name)
        return column

    def _text(self, values: np.ndarray, name: str) -> pa.Array:
        try:
            # A list, because from an array of texts Arrow takes what stands before a NUL.
            words = pa.array(_words(values).tolist(), TEXT)
        except (ValueError, SystemError) as cause:  # the second is NumPy's for a sign beyond Unicode
            said = "expected text in Unicode, received other bytes"
            raise self.faults.refuse("text_encoding", said, column=name) from cause
        # A fixed-width text has no other way to say that it is missing.
        return pc.if_else(pc.equal(words, ""), pa.scalar(None, TEXT), words)


def _words(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "M":
        words = np.datetime_as_string(values)
        return np.where(words == "NaT", "", words)
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
