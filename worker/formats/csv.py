"""CSV: UTF-8, a header, one row a record. Read twice as a stream: once to learn the types, once to convert."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from worker.formats.columns import MISSING, Learned, convert
from worker.formats.source import TEXT, Cell, Faults, Reading, Types, check_lengths, check_names, check_rows, rejection
from worker.formats.text import check_text, read_header

# A record must fit in a block; a larger one is an unclosed quotation mark more often than data.
BLOCK_BYTES = 2 * 1024 * 1024
# Somebody who has this many rows to correct does not count them; and each is remembered.
RAGGED_AT_MOST = 10_000

OnRagged = Callable[[arrow_csv.InvalidRow], str]


class CsvSource:
    """A CSV file whose types have been learned; `faults` holds the rows and cells that cannot be."""

    def __init__(self, path: Path, name: str, reading: Reading) -> None:
        self.name, self._path, self._reading = name, path, reading
        self.faults = Faults(name)
        self._ragged: list[int] = []
        text = check_text(path, self.faults)
        self._header = read_header(path, reading.limits, self.faults)
        check_names(self._header.names, reading.limits, self.faults)
        if text.long_until > self._header.end:
            # Arrow finds it as well, but reads ahead meanwhile, at times all of the file.
            raise self._too_long()
        names, texts = self._header.names, reading.texts(self._header.names)
        learned = [Learned(name, is_key=reading.is_key(name), is_text=name in texts) for name in names]
        self.rows = self._learn(learned, is_quote_open=text.quotes % 2 == 1)
        self.types: dict[str, pa.DataType] = {seen.name: seen.kind for seen in learned}
        for seen in learned:
            self._tell(seen)

    def batches(self, types: Types) -> Iterator[pa.RecordBatch]:
        schema = pa.schema(list(types.items()))
        for batch in self._strings(on_ragged=lambda _: "skip"):
            yield pa.RecordBatch.from_arrays(
                [convert(batch.column(name), kind) for name, kind in types.items()], schema=schema
            )

    def _learn(self, learned: list[Learned], *, is_quote_open: bool) -> int:
        rows, is_cell_open = 0, False
        for batch in self._strings(on_ragged=self._note_ragged):
            for place, seen in enumerate(learned):
                column = batch.column(place)
                check_lengths(column, seen.name, self._reading.limits, self.faults, first_row=rows)
                seen.take(column, first_row=rows)
            rows += batch.num_rows
            is_cell_open = _runs_on(batch) if batch.num_rows else is_cell_open
            check_rows(rows, len(learned), self._reading.limits, self.faults)
            self._reading.seen(rows)
        if rows == 0 and not self._ragged:
            raise self.faults.refuse("dataset_empty", "expected rows below the header, received none")
        if is_quote_open and is_cell_open:
            said = "a quotation mark is never closed: the rest of the file has become one cell"
            self.faults.add("csv_shape", said, row=self._row_in_file(rows - 1))
        return rows

    def _note_ragged(self, row: arrow_csv.InvalidRow) -> str:
        self._ragged.append(row.number - 1)
        said = f"expected {row.expected_columns} cells, received {row.actual_columns}"
        self.faults.add("csv_shape", said, row=row.number - 1)
        return "error" if len(self._ragged) >= RAGGED_AT_MOST else "skip"

    def _row_in_file(self, row: int) -> int:
        """The number of a row among all, from its number among those that are not ragged."""
        # The n-th ragged row has (its number - n) good rows before it.
        good_before = [ragged - place for place, ragged in enumerate(self._ragged)]
        return row + bisect_right(good_before, row)

    def _tell(self, seen: Learned) -> None:
        if seen.kind != TEXT and seen.infinite:
            cells = [Cell(self._row_in_file(cell.row), cell.sort) for cell in seen.infinite]
            self.faults.add_infinite(cells, seen.infinite_count, column=seen.name)

    def _strings(self, *, on_ragged: OnRagged) -> Iterator[pa.RecordBatch]:
        """Every cell as text or missing, batch by batch."""
        names = self._header.names
        with pa.OSFile(str(self._path)) as file:
            file.seek(self._header.end)
            try:
                yield from arrow_csv.open_csv(
                    file,
                    # One thread: only then does Arrow number the rows that it hands to on_ragged.
                    read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=names),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=self._header.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, TEXT),
                        strings_can_be_null=True,
                        null_values=MISSING.to_pylist(),
                    ),
                )
            except pa.ArrowInvalid as cause:
                raise self._refusal(str(cause)) from cause

    def _refusal(self, said: str) -> Exception:
        if len(self._ragged) >= RAGGED_AT_MOST:
            return rejection(self.faults.kept, self.faults.total)
        if "straddling" in said:
            return self._too_long()
        if "Empty CSV" in said:
            return self.faults.refuse("dataset_empty", "expected rows below the header, received none")
        return self.faults.refuse("csv_shape", "the file cannot be read as CSV")

    def _too_long(self) -> Exception:
        size = f"{BLOCK_BYTES:,} bytes"
        message = f"expected rows of at most {size}: a cell is too long, or a quotation mark is never closed"
        return self.faults.refuse("field_too_long", message)


def _runs_on(batch: pa.RecordBatch) -> bool:
    """Whether a cell of the last row goes over several lines."""
    last = batch.slice(batch.num_rows - 1)
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in last.columns)
