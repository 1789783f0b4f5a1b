"""Parquet: flat tables only, judged by the schema before a byte of data is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.errors import JobFailed
from worker.formats.source import (
    BATCH_BYTES,
    BOOLEAN,
    INTEGER,
    NUMBER,
    ROWS_A_BATCH,
    TEXT,
    UNKNOWN,
    Faults,
    Reading,
    Types,
    check_names,
    check_rows,
    check_words,
    infinite_cells,
)

# Of columns or of row groups: ten million rows in groups of a thousand. More is refused while the file is opened.
THRIFT_CONTAINER = 10_000
THRIFT_STRING = 64 * 1024 * 1024
# Below it a float holds every whole number.
EXACT = 2.0**53
# Pages are read through this, instead of whole columns of a row group: half the memory, twice the speed.
BUFFER_BYTES = 64 * 1024
# A name or a description in the file that is no UTF-8 is a ValueError.
UNREADABLE = (pa.ArrowException, OSError, ValueError)


class ParquetSource:
    """A Parquet file with a flat schema."""

    def __init__(self, path: Path, name: str, reading: Reading) -> None:
        self.name, self._path, self._limits = name, path, reading.limits
        self.faults = Faults(name)
        with self._open([]) as file:
            schema, self.rows = self._schema(file), int(file.metadata.num_rows)
        check_names(schema.names, self._limits, self.faults)
        flat, texts = {field.name: self._flat(field) for field in schema}, reading.texts(schema.names)
        self.types: dict[str, pa.DataType] = {name: TEXT if name in texts else kind for name, kind in flat.items()}
        check_rows(self.rows, len(schema), self._limits, self.faults)
        if self.rows == 0:
            raise self.faults.refuse("dataset_empty", "expected rows, received none")

    def batches(self, types: Types) -> Iterator[pa.RecordBatch]:
        schema, rows = pa.schema(list(types.items())), 0
        with self._refusing():
            for batch in self._decoded(list(types)):
                columns = [self._convert(batch.column(name), name, kind, rows) for name, kind in types.items()]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
                rows += batch.num_rows
                check_rows(rows, len(types), self._limits, self.faults)

    def _open(self, dictionaries: list[str]) -> pq.ParquetFile:
        with self._refusing():
            return pq.ParquetFile(
                self._path,
                read_dictionary=dictionaries,
                pre_buffer=False,
                buffer_size=BUFFER_BYTES,
                page_checksum_verification=True,
                thrift_container_size_limit=THRIFT_CONTAINER,
                thrift_string_size_limit=THRIFT_STRING,
            )

    def _schema(self, file: pq.ParquetFile) -> pa.Schema:
        with self._refusing():
            schema = file.schema_arrow
            # Read here, because a name that is no UTF-8 shows only now.
            return pa.schema([schema.field(place) for place in range(len(schema.names))])

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Refuse the file for whatever Arrow cannot make of it; want of memory is another matter."""
        try:
            yield
        except pa.ArrowMemoryError:
            raise
        except UNREADABLE as cause:
            raise self._corrupt(str(cause)) from cause

    def _corrupt(self, said: str) -> JobFailed:
        if "exceed" in said.lower() and "limit" in said.lower():
            message = f"expected at most {self._limits.columns} columns and {THRIFT_CONTAINER:,} row groups"
            return self.faults.refuse("table_too_many_columns", message)
        return self.faults.refuse("parquet_corrupt", "the file cannot be read as Parquet: it is damaged, or cut off")

    def _flat(self, field: pa.Field) -> pa.DataType:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        is_extension = b"ARROW:extension:name" in (field.metadata or {})
        flat = None if is_extension else _canonical(kind)
        if flat is None:
            said = f"expected a column of numbers, text, dates or booleans, received {field.type}"
            raise self.faults.refuse("schema_not_flat", said, column=field.name)
        return flat

    def _decoded(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Batches that are small even when a few repeated words of the file are long."""
        texts = [name for name in names if self.types[name] == TEXT]
        rows = max(1, min(ROWS_A_BATCH, BATCH_BYTES // (8 * len(names))))
        with self._open(texts) as file:
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                step = max(1, BATCH_BYTES // max(1, _longest_row(batch)))
                yield from (batch.slice(start, step) for start in range(0, batch.num_rows, step))

    def _convert(self, column: pa.Array, name: str, kind: pa.DataType, first_row: int) -> pa.Array:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if self.types[name] == TEXT:
            text = _text(column)
            check_words(text, name, self._limits, self.faults, first_row=first_row)
            return text
        if self.types[name] == NUMBER:
            column = pc.cast(column, NUMBER, safe=False)
            self.faults.add_infinite(*infinite_cells(column, first_row=first_row), column=name)
            column = pc.if_else(pc.is_nan(column), None, column)
        return pc.cast(column, kind, safe=False)


def _canonical(kind: pa.DataType) -> pa.DataType | None:
    """The type that a flat column is stored as, or None."""
    test = pa.types
    if test.is_null(kind):
        return UNKNOWN
    if test.is_boolean(kind):
        return BOOLEAN
    # Beyond int64 the digits would be lost one way or the other; the order and the size are kept.
    if kind == pa.uint64() or test.is_floating(kind) or (test.is_decimal(kind) and not test.is_decimal256(kind)):
        return NUMBER
    if test.is_integer(kind):
        return INTEGER
    is_moment = test.is_timestamp(kind) or test.is_date(kind) or test.is_time(kind)
    return TEXT if is_moment or _is_text(kind) else None


def _text(column: pa.Array) -> pa.Array:
    """Words as they are, whole numbers as their digits; moments as ISO 8601, in UTC if they have a time zone."""
    if pa.types.is_floating(column.type):
        return _digits(pc.cast(column, NUMBER, safe=False) if column.type == pa.float16() else column)
    if not pa.types.is_timestamp(column.type):
        return pc.cast(column, TEXT)
    zone = "" if column.type.tz is None else "Z"
    naive = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    return pc.binary_join_element_wise(pc.replace_substring(pc.cast(naive, TEXT), " ", "T"), zone, "")


def _digits(column: pa.Array) -> pa.Array:
    """Numbers as text: 7.0 is how a table with a gap in it writes 7."""
    column = pc.if_else(pc.is_nan(column), None, column)
    is_whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), EXACT))
    digits = pc.cast(pc.cast(pc.if_else(is_whole, column, 0), INTEGER), TEXT)
    return pc.if_else(is_whole, digits, pc.cast(column, TEXT))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _longest_row(batch: pa.RecordBatch) -> int:
    """At most so many bytes has the longest row of a batch, read from its dictionaries."""
    words = [column.dictionary for column in batch.columns if pa.types.is_dictionary(column.type)]
    return sum(pc.max(pc.binary_length(each)).as_py() or 0 for each in words if _is_text(each.type))
