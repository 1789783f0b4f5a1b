"""CSV: UTF-8, a header, one row a line. Read twice as a stream: once to learn the types, once to convert."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from worker.formats.columns import Learned
from worker.formats.source import Faults, Limits, Mixed, check_names, check_rows

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]
# A record must fit in a block; a larger one is an unclosed quote more often than data.
BLOCK_BYTES = 4 * 1024 * 1024
HEADER_BYTES = 1024 * 1024
DELIMITERS = ",;\t|"


class CsvSource:
    """A CSV file whose types have been learned; `faults` holds the rows and cells that cannot be."""

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        self.name, self._path, self._limits = name, path, limits
        self.faults = Faults(name)
        self._ragged: list[int] = []
        check_text(path, self.faults)
        self._delimiter, self._names = self._read_header()
        check_names(self._names, limits, self.faults)
        learned = {column: Learned(column) for column in self._names}
        self.rows = self._learn(learned)
        self.types: dict[str, pa.DataType] = {column: seen.type() for column, seen in learned.items()}
        self.mixed: dict[str, Mixed] = {column: seen.mixed for column, seen in learned.items() if seen.is_mixed()}
        for seen in learned.values():
            seen.tell(self.faults, self._row_in_file)

    def batches(self) -> Iterator[pa.RecordBatch]:
        schema = pa.schema(list(self.types.items()))
        for batch in self._strings(on_ragged=lambda _: "skip"):
            columns = [_convert(batch.column(name), kind) for name, kind in self.types.items()]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _read_header(self) -> tuple[str, list[str]]:
        with self._path.open("rb") as file:
            line = file.readline(HEADER_BYTES)
        if not line.strip():
            raise self.faults.refuse("dataset_empty", "expected a header and rows, received an empty file")
        text = line.decode("utf-8-sig").rstrip("\r\n")
        delimiter = max(DELIMITERS, key=text.count)
        return delimiter, next(csv.reader([text], delimiter=delimiter))

    def _learn(self, learned: dict[str, Learned]) -> int:
        rows = 0
        for batch in self._strings(on_ragged=self._note_ragged):
            for name, seen in learned.items():
                seen.take(batch.column(name), first_row=rows)
                self._check_lengths(batch.column(name), name, rows)
            rows += batch.num_rows
            check_rows(rows, len(learned), self._limits, self.faults)
        if rows == 0:
            raise self.faults.refuse("dataset_empty", "expected rows below the header, received none")
        return rows

    def _check_lengths(self, column: pa.Array, name: str, first_row: int) -> None:
        lengths = pc.binary_length(column)
        longest = pc.max(lengths).as_py() or 0
        if longest > self._limits.field_bytes:
            row = first_row + pc.index(lengths, longest).as_py()
            said = f"expected cells of at most {self._limits.field_bytes:,} bytes, received one of {longest:,}"
            raise self.faults.refuse("csv_field_too_long", said, row=row, column=name)

    def _note_ragged(self, row: arrow_csv.InvalidRow) -> str:
        # Arrow counts lines from 1 with the header; our rows count from 0 without it.
        place = None if row.number is None else row.number - 2
        if place is not None:
            self._ragged.append(place)
        said = f"expected {row.expected_columns} cells, received {row.actual_columns}"
        self.faults.add(said, row=place)
        return "skip"

    def _row_in_file(self, row: int) -> int:
        """The number of a row among all, from its number among those that were not ragged."""
        for ragged in sorted(self._ragged):
            row += ragged <= row
        return row

    def _strings(self, on_ragged: object) -> Iterator[pa.RecordBatch]:
        """Every cell as text or missing, batch by batch."""
        try:
            reader = arrow_csv.open_csv(
                self._path,
                # One thread: only then does Arrow number the rows that it hands to on_ragged.
                read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self._names, pa.string()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=MISSING,
                ),
            )
            yield from reader
        except pa.ArrowInvalid as cause:
            raise self._say(cause) from cause

    def _say(self, cause: pa.ArrowInvalid) -> Exception:
        if "straddling" in str(cause):
            said = "a cell is too long, or a quotation mark is never closed"
            return self.faults.refuse("csv_field_too_long", said)
        if "Empty CSV" in str(cause):
            return self.faults.refuse("dataset_empty", "expected a header and rows, received none")
        return self.faults.refuse("csv_shape", f"the file cannot be read as CSV: {str(cause).splitlines()[0][:200]}")


def check_text(path: Path, faults: Faults) -> None:
    """Refuse what is no UTF-8 text, with the line on which it stops being it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            if (place := block.find(b"\0")) >= 0:
                at = line + block.count(b"\n", 0, place)
                raise faults.refuse("csv_encoding", f"expected text, received a NUL byte in line {at}")
            try:
                decoder.decode(block)
            except UnicodeDecodeError as cause:
                at = line + block.count(b"\n", 0, max(0, cause.start))
                raise faults.refuse("csv_encoding", f"expected UTF-8, received other bytes in line {at}") from cause
            line += block.count(b"\n")


def _convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind == pa.string():
        return column
    trimmed = pc.utf8_trim_whitespace(column)
    if kind == pa.bool_():
        return pc.equal(pc.utf8_lower(trimmed), "true")
    return pc.cast(trimmed, kind)
