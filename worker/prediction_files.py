"""The files of a scoring: Parquet, CSV, JSON Lines with its index, and the rows that could not be scored.

Chunks are written side by side, by several workers perhaps, and put together in their order.
"""

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from worker import scored
from worker.formats import canonical
from worker.lines import COPIED_BYTES, Field, Lines, LooseLines
from worker.track_files import TrackFile, TrackFiles

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA = r"^[=+\-@\t\r]"
# A member of an object stands as a column of its own: rock of "probabilities" is probability.rock.
MEMBER = {"probabilities": "probability", "columns": "column", "tags": "tag"}
BETWEEN_LABELS = "|"
# In the footer of the Parquet file: on what terms the predictions may be used, as JSON.
RIGHTS = "etude.rights"
# In a chunk: numbers that add up.
COUNTS = "counts.bin"
# Files of tracks, as they wait in a chunk.
FILES = pa.schema(
    [
        ("row", pa.int64()), ("key", pa.string()), ("suffix", pa.string()), ("media_type", pa.string()),
        ("content", pa.large_binary()),
    ]
)  # fmt: skip


class PredictionFiles:
    """Puts the chunks of a scoring together, in every wanted format; once left, the files are whole.

    `empty` is a chunk of no rows, `rights` those of the predictions.
    The same rows make the same bytes, however they were cut into chunks.
    """

    def __init__(
        self,
        folder: Path,
        formats: Sequence[str],
        empty: Mapping[str, Field],
        *,
        has_files: bool = False,
        remembers: bool = False,
        rights: Mapping[str, Any] | None = None,
    ) -> None:
        self._open, self._groups = ExitStack(), canonical.RowGroups()
        self._errors = self._open.enter_context(Lines(folder / "errors.jsonl"))
        self._files = self._open.enter_context(TrackFiles(folder)) if has_files else None
        self._scored = self._open.enter_context((folder / scored.FILE).open("wb")) if remembers else None
        self._parquet = self._csv = self._lines = None
        # What drift is told by (worker/drift.py), of all chunks; None once one comes that has none of it.
        self.counts: np.ndarray | int | None = 0
        flat = _flat(empty)
        if "parquet" in formats:
            # Numbers repeat too seldom for a dictionary; trying one costs time and saves nothing.
            texts = [field.name for field in flat.schema if not pa.types.is_floating(field.type)]
            self._parquet = pq.ParquetWriter(
                folder / "predictions.parquet", flat.schema, use_dictionary=texts, store_schema=False
            )
            if rights is not None:
                said = json.dumps(rights, ensure_ascii=False, sort_keys=True)
                self._parquet.add_key_value_metadata({RIGHTS: said})
            self._open.callback(self._close_parquet, self._parquet)
        if "csv" in formats:
            pyarrow.csv.CSVWriter(folder / "predictions.csv", _as_csv(flat).schema).close()
            self._csv = self._open.enter_context((folder / "predictions.csv").open("ab"))
        if "jsonl" in formats:
            self._lines = self._open.enter_context(Lines(folder / "predictions.jsonl"))

    def append(self, archive: Path) -> None:
        """Add what a chunk has left behind (`ChunkFiles.pack`)."""
        with zipfile.ZipFile(archive) as chunk:
            _append(chunk, "errors", self._errors)
            if self._lines is not None:
                _append(chunk, "predictions", self._lines)
            if self._csv is not None:
                with chunk.open("predictions.csv") as rows:
                    shutil.copyfileobj(rows, self._csv, COPIED_BYTES)
            if self._parquet is not None:
                with chunk.open("rows.arrow") as rows, pa.ipc.open_stream(rows) as batches:
                    for batch in batches:
                        self._write(self._groups.add(batch))
            if self._files is not None:
                _add_files(chunk, self._files)
            if self._scored is not None:
                self._scored.write(chunk.read(scored.FILE))
            self._add_counts(chunk)

    def _add_counts(self, chunk: zipfile.ZipFile) -> None:
        if COUNTS not in chunk.namelist():
            # Scored by an older release: what is left would be a choice of rows, and no chance one.
            self.counts = None
        elif self.counts is not None:
            self.counts = self.counts + np.frombuffer(chunk.read(COUNTS), "<i8")

    def _write(self, groups: Iterable[pa.Table]) -> None:
        assert self._parquet is not None
        for group in groups:
            self._parquet.write_table(group)

    def _close_parquet(self, writer: pq.ParquetWriter) -> None:
        self._write(self._groups.rest())
        writer.close()

    def __enter__(self) -> "PredictionFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()


def _append(chunk: zipfile.ZipFile, name: str, to: Lines) -> None:
    with chunk.open(f"{name}.jsonl") as lines:
        to.append(lines, np.frombuffer(chunk.read(f"{name}.lengths"), "<u4"))


def _add_files(chunk: zipfile.ZipFile, to: TrackFiles) -> None:
    with chunk.open("files.arrow") as rows, pa.ipc.open_stream(rows) as batches:
        for batch in batches:
            for row in batch.to_pylist():
                to.add(row["row"], row["key"], [TrackFile(row["suffix"], row["media_type"], row["content"])])


class ChunkFiles:
    """What a chunk of a scoring leaves behind, in every wanted format, as one file; `counted` numbers tell of drift."""

    def __init__(
        self,
        folder: Path,
        formats: Sequence[str],
        empty: Mapping[str, Field],
        *,
        has_files: bool = False,
        remembers: bool = False,
        counted: int = 0,
    ) -> None:
        folder.mkdir()
        self._folder, self._open = folder, ExitStack()
        self._errors = self._open.enter_context(LooseLines(folder / "errors.jsonl"))
        self._rows = self._csv = self._lines = self._files = None
        flat = _flat(empty)
        if "parquet" in formats:
            self._rows = self._open.enter_context(pa.ipc.new_stream(folder / "rows.arrow", flat.schema))
        if "csv" in formats:
            options = pyarrow.csv.WriteOptions(include_header=False)
            writer = pyarrow.csv.CSVWriter(folder / "predictions.csv", _as_csv(flat).schema, write_options=options)
            self._csv = self._open.enter_context(writer)
        if "jsonl" in formats:
            self._lines = self._open.enter_context(LooseLines(folder / "predictions.jsonl"))
        if has_files:
            self._files = self._open.enter_context(pa.ipc.new_stream(folder / "files.arrow", FILES))
        self._scored = self._open.enter_context((folder / scored.FILE).open("wb")) if remembers else None
        self.rows = self.errors = self.files = 0
        self._counts = np.zeros(counted, np.int64)

    def write(self, rows: Mapping[str, Field], errors: Mapping[str, Field], digests: np.ndarray | None = None) -> None:
        """Add rows, by which they are known again, and rows that could not be scored."""
        self._errors.write(errors)
        if self._scored is not None and digests is not None:
            self._scored.write(digests.astype("<u8").tobytes())
        flat = _flat(rows)
        if self._rows is not None:
            self._rows.write_batch(flat)
        if self._csv is not None:
            self._csv.write_batch(_as_csv(flat))
        if self._lines is not None:
            self._lines.write(rows)
        self.rows, self.errors = self.rows + flat.num_rows, self.errors + len(errors["key"])

    def add(self, row: int, key: str, files: Iterable[TrackFile]) -> None:
        """Add the files of one track."""
        assert self._files is not None
        for file in files:
            said = {"row": [row], "key": [key], **{name: [value] for name, value in vars(file).items()}}
            self._files.write_batch(pa.RecordBatch.from_pydict(said, schema=FILES))
            self.files += 1

    def count(self, counts: np.ndarray | None) -> None:
        """Add what drift is told by."""
        if counts is not None:
            self._counts = self._counts + counts

    def pack(self) -> Path:
        """Everything in one archive beside the folder."""
        self._open.close()
        (self._folder / COUNTS).write_bytes(self._counts.astype("<i8").tobytes())
        archive = self._folder.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as chunk:
            for path in sorted(self._folder.iterdir()):
                chunk.write(path, path.name)
        return archive

    def __enter__(self) -> "ChunkFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
        shutil.rmtree(self._folder, ignore_errors=True)


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


def defused(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Rows as they stand in a CSV, where no cell begins a formula."""
    return _as_csv(rows)


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
