"""Score a table with a model: a stream of Parquet in, predictions and errors out, in memory that rows do not change.

A thread decodes the next chunk while the network answers this one. What a scorer makes of outputs is its kind's affair.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from shared.errors import Fault, JobFailed
from shared.table_params import TableScoring
from worker import features, tables
from worker.features import BadCells, Feature
from worker.lines import Field
from worker.prediction_files import PredictionFiles
from worker.preparation import listed

Json = dict[str, Any]

# Measured: from here on the fixed cost of a call is under a tenth of the network's arithmetic.
NETWORK_ROWS = 8192
# Cells of a chunk, in or out: 64 MB as float32, however wide the table.
CHUNK_CELLS = 16_000_000
NOT_FINITE = "the model's answer to this row is not a finite number"


@dataclass(frozen=True)
class Answer:
    """Predictions of a chunk: the fields of each row after its key, and totals that add up over chunks."""

    fields: dict[str, Field]
    totals: np.ndarray


class Scorer(Protocol):
    """A model made ready by its kind."""

    features: tuple[Feature, ...]
    outputs: int

    def network(self, x: np.ndarray) -> np.ndarray:
        """Outputs (rows, outputs) of a float32 matrix (rows, columns)."""

    def answer(self, outputs: np.ndarray) -> Answer:
        """Turn outputs into predictions."""

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        """What the job's result says of all predictions together; `rows` may be 0."""


@dataclass(frozen=True)
class _Chunk:
    """Rows as they come from the table; `first` is the number of the first one."""

    first: int
    keys: pa.Array
    columns: dict[str, pa.Array]
    x: np.ndarray
    bad: list[BadCells]


@dataclass(frozen=True)
class _Scored:
    rows: dict[str, Field]
    errors: dict[str, Field]
    totals: np.ndarray


def score(
    paths: Sequence[Path],
    profile: Mapping[str, Any],
    scorer: Scorer,
    params: TableScoring,
    *,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Json:
    """Write predictions.* and errors.* into the folder, the same bytes for the same input; return the summary.

    `progress(rows_done, rows_total)` is called after each chunk, and may raise to stop.
    """
    _refuse_absent(paths, scorer, params)
    key, total, failed = profile["roles"]["id"], tables.count_rows(paths), 0
    nothing = _score(_chunk(tables.no_rows(paths), 0, key, scorer, params.columns), scorer)
    totals = nothing.totals
    with (
        PredictionFiles(folder, params.formats, nothing.rows) as files,
        closing(_ahead(_chunks(paths, key, scorer, params.columns))) as chunks,
    ):
        for chunk in chunks:
            scored = _score(chunk, scorer)
            files.write(scored.rows, scored.errors)
            totals = totals + scored.totals
            failed += len(scored.errors["row"])
            progress(chunk.first + len(chunk.keys), total)
    return {"rows": total, "errors": failed, **scorer.summarise(totals, total - failed)}


def _refuse_absent(paths: Sequence[Path], scorer: Scorer, params: TableScoring) -> None:
    present = tables.schema(paths)
    absent = [name for name in [*(each.name for each in scorer.features), *params.columns] if name not in present]
    if absent:
        raise JobFailed(
            f"The table lacks columns that are needed: {listed(absent)}. Rename or add them.",
            code="columns_missing",
            faults=[Fault("expected a column of this name", column=name) for name in absent],
        )


def _chunks(paths: Sequence[Path], key: str | None, scorer: Scorer, columns: Sequence[str]) -> Iterator[_Chunk]:
    width = max(len(features.names(scorer.features)), scorer.outputs)
    rows = max(1, min(tables.BATCH_ROWS, CHUNK_CELLS // width))
    wanted = {*(each.name for each in scorer.features), *columns, *([key] if key else [])}
    first = 0
    for batch in tables.batches(paths, sorted(wanted), rows=rows):
        yield _chunk(batch, first, key, scorer, columns)
        first += batch.num_rows


def _chunk(batch: pa.RecordBatch, first: int, key: str | None, scorer: Scorer, columns: Sequence[str]) -> _Chunk:
    read = {each.name: tables.column(batch.column(each.name)) for each in scorer.features}
    x, bad = features.matrix(scorer.features, read)
    keys = batch.column(key) if key else pa.array(np.arange(first, first + batch.num_rows))
    return _Chunk(first, keys, {name: batch.column(name) for name in columns}, x, bad)


def _ahead(chunks: Iterator[_Chunk]) -> Generator[_Chunk, None, None]:
    """The same chunks, the next one read by a thread while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        following = reader.submit(next, chunks, None)
        while (chunk := following.result()) is not None:
            following = reader.submit(next, chunks, None)
            yield chunk


def _score(chunk: _Chunk, scorer: Scorer) -> _Scored:
    reasons = _reasons(chunk.bad)
    good = np.ones(len(chunk.keys), bool)
    good[list(reasons)] = False
    outputs = _run(scorer, chunk.x[good] if reasons else chunk.x)
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        lost = np.flatnonzero(good)[~finite]
        reasons.update(dict.fromkeys(lost.tolist(), (None, NOT_FINITE)))
        good[lost], outputs = False, outputs[finite]
    answer = scorer.answer(outputs)
    kept = pa.array(good)
    rows = {"key": chunk.keys.filter(kept), **answer.fields}
    if chunk.columns:
        rows["columns"] = {name: column.filter(kept) for name, column in chunk.columns.items()}
    return _Scored(rows, _errors(chunk, reasons), answer.totals)


def _run(scorer: Scorer, x: np.ndarray) -> np.ndarray:
    outputs = np.empty((len(x), scorer.outputs), np.float32)
    for start in range(0, len(x), NETWORK_ROWS):
        outputs[start : start + NETWORK_ROWS] = scorer.network(x[start : start + NETWORK_ROWS])
    return outputs


def _reasons(bad: Sequence[BadCells]) -> dict[int, tuple[str | None, str]]:
    """The first column at fault of each row that has one, and why."""
    found: dict[int, tuple[str | None, str]] = {}
    for cells in bad:
        for row, reason in zip(cells.rows.tolist(), cells.reasons, strict=True):
            found.setdefault(row, (cells.column, reason))
    return found


def _errors(chunk: _Chunk, reasons: Mapping[int, tuple[str | None, str]]) -> dict[str, Field]:
    rows = sorted(reasons)
    return {
        "key": chunk.keys.take(pa.array(rows, pa.int64())),
        "row": pa.array([chunk.first + row for row in rows], pa.int64()),
        "reason": pa.array([reasons[row][1] for row in rows], pa.string()),
        "column": pa.array([reasons[row][0] for row in rows], pa.string()),
    }
