"""The files of a scoring: Parquet, CSV, JSON Lines with its index, and the rows that could not be scored."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from worker.lines import Field, Lines

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA = r"^[=+\-@\t\r]"
# A member of an object stands as a column of its own: rock of "probabilities" is probability.rock.
MEMBER = {"probabilities": "probability", "columns": "column", "tags": "tag"}
BETWEEN_LABELS = "|"


class PredictionFiles:
    """Writes chunks of rows in every wanted format; once left, the files are whole. `empty` is a chunk of no rows."""

    def __init__(self, folder: Path, formats: Sequence[str], empty: Mapping[str, Field]) -> None:
        self._open = ExitStack()
        self._errors = self._open.enter_context(Lines(folder / "errors.jsonl"))
        flat = _flat(empty)
        self._parquet = self._csv = self._lines = None
        if "parquet" in formats:
            # Numbers repeat too seldom for a dictionary; trying one costs time and saves nothing.
            texts = [field.name for field in flat.schema if not pa.types.is_floating(field.type)]
            writer = pq.ParquetWriter(
                folder / "predictions.parquet", flat.schema, use_dictionary=texts, store_schema=False
            )
            self._parquet = self._open.enter_context(writer)
        if "csv" in formats:
            writer = pyarrow.csv.CSVWriter(folder / "predictions.csv", _as_csv(flat).schema)
            self._csv = self._open.enter_context(writer)
        if "jsonl" in formats:
            self._lines = self._open.enter_context(Lines(folder / "predictions.jsonl"))

    def write(self, rows: Mapping[str, Field], errors: Mapping[str, Field]) -> None:
        """Add a chunk to every file."""
        self._errors.write(errors)
        flat = _flat(rows)
        if self._parquet is not None:
            self._parquet.write_batch(flat)
        if self._csv is not None:
            self._csv.write_batch(_as_csv(flat))
        if self._lines is not None:
            self._lines.write(rows)

    def __enter__(self) -> "PredictionFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()


def _flat(rows: Mapping[str, Field]) -> pa.RecordBatch:
    columns: dict[str, pa.Array] = {}
    for name, field in rows.items():
        if isinstance(field, Mapping):
            columns.update({f"{MEMBER.get(name, name)}.{member}": array for member, array in field.items()})
        else:
            columns[name] = field
    return pa.RecordBatch.from_pydict(columns)


def _as_csv(flat: pa.RecordBatch) -> pa.RecordBatch:
    names = _defused(pa.array(flat.schema.names, pa.string())).to_pylist()
    return pa.RecordBatch.from_arrays([_cells(column) for column in flat.columns], names=names)


def _cells(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        column = pc.binary_join(column.cast(pa.list_(pa.string())), BETWEEN_LABELS)
    if pa.types.is_dictionary(column.type):
        return _defused(column.dictionary).take(column.indices)
    return _defused(column) if pa.types.is_string(column.type) else column


def _defused(texts: pa.Array) -> pa.Array:
    """Texts that a spreadsheet shows instead of runs: a single quote before what begins a formula (rule R17)."""
    is_formula = pc.match_substring_regex(texts, FORMULA)
    if not pc.any(is_formula).as_py():
        return texts
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)
