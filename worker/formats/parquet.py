"""Parquet: flat tables only, judged by the schema before a byte of data is read."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from worker.formats.source import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    ROWS_A_BATCH,
    TEXT,
    Faults,
    Limits,
    Mixed,
    check_names,
    check_rows,
)

# Enough for the metadata of 512 columns in 50 million rows; a bomb of 20,000 columns is refused while it is opened.
THRIFT_CONTAINER = 200_000
THRIFT_STRING = 64 * 1024 * 1024


class ParquetSource:
    """A Parquet file with a flat schema."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.name, self._path, self._limits = name, path, limits
        self.faults = Faults(name)
        self.mixed: dict[str, Mixed] = {}
        with self._open() as file:
            schema, self.rows = file.schema_arrow, file.metadata.num_rows
        check_names(schema.names, limits, self.faults)
        check_rows(self.rows, len(schema), limits, self.faults)
        if self.rows == 0:
            raise self.faults.refuse("dataset_empty", "expected rows, received none")
        self.types: dict[str, pa.DataType] = {field.name: self._flat(field) for field in schema}

    def batches(self) -> Iterator[pa.RecordBatch]:
        schema, first_row = pa.schema(list(self.types.items())), 0
        with self._open() as file:
            try:
                for batch in file.iter_batches(ROWS_A_BATCH, use_threads=False):
                    yield pa.RecordBatch.from_arrays(
                        [self._convert(batch.column(name), name, first_row) for name in self.types], schema=schema
                    )
                    first_row += batch.num_rows
                    check_rows(first_row, len(schema), self._limits, self.faults)
            except (pa.ArrowException, OSError) as cause:
                raise self._corrupt(cause) from cause

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                self._path,
                pre_buffer=False,
                thrift_container_size_limit=THRIFT_CONTAINER,
                thrift_string_size_limit=THRIFT_STRING,
            )
        except (pa.ArrowException, OSError) as cause:
            if "exceed" in str(cause).lower() and "limit" in str(cause).lower():
                said = "the file's description is larger than any table within the limits needs"
                raise self.faults.refuse("table_too_many_columns", said) from cause
            raise self._corrupt(cause) from cause

    def _corrupt(self, cause: Exception) -> Exception:
        return self.faults.refuse("parquet_corrupt", f"the file cannot be read: {str(cause).splitlines()[0][:200]}")

    def _flat(self, field: pa.Field) -> pa.DataType:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_boolean(kind):
            return BOOLEAN
        if pa.types.is_integer(kind):
            return NUMBER if kind == pa.uint64() else INTEGER
        if pa.types.is_floating(kind) or pa.types.is_decimal128(kind) or pa.types.is_null(kind):
            return NUMBER
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
            return TEXT
        said = f"expected a flat column of numbers, text, dates or booleans, received {field.type}"
        raise self.faults.refuse("schema_not_flat", said, column=field.name)

    def _convert(self, column: pa.Array, name: str, first_row: int) -> pa.Array:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        converted = pc.cast(column, self.types[name])
        if self.types[name] == TEXT:
            longest = pc.max(pc.binary_length(converted)).as_py() or 0
            if longest > self._limits.field_bytes:
                said = f"expected cells of at most {self._limits.field_bytes:,} bytes, received one of {longest:,}"
                raise self.faults.refuse("csv_field_too_long", said, column=name)
            return converted
        if self.types[name] != NUMBER:
            return converted
        for row in pc.indices_nonzero(pc.fill_null(pc.is_inf(converted), False)).to_pylist():
            self.faults.add("expected a finite number", row=first_row + row, column=name)
        return pc.if_else(pc.is_nan(converted), None, converted)
