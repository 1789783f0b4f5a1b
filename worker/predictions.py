"""Score a table with a model: a stream of Parquet in, predictions and errors out, in memory that rows do not change.

Every thread reads, prepares and scores one piece of the table from end to end; they are written in their order.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from shared.table_params import TableScoring
from worker import cores, drift, features, fitting, tables
from worker.drift import Columns, Counts
from worker.features import BadCells, Feature
from worker.lines import Field
from worker.prediction_files import ChunkFiles, PredictionFiles
from worker.scored import Scored, digests_of_rows
from worker.tables import File, Piece

Json = dict[str, Any]

# Measured on two cores: two threads that each do everything take 0.75 of the time of a reader beside a network, as
# neither waits for the other. Two hold some 450 MB of a table of 64 columns; more would wait for the disk.
THREADS_AT_MOST = 4
# Cells of a batch, in or out: 16 MB as float32, however wide the table; a quarter of that takes a tenth longer.
BATCH_CELLS = 4_194_304
# Of a chunk, if nothing else is said: four row groups, so that every thread has some and the sum of the ends is small.
CHUNK_ROWS = 262_144
NOT_FINITE = "the model's answer to this row is not a finite number"

# Of inputs (rows, inputs), outputs (rows, outputs) and the cells of these rows: JSON about each, as large_string.
Explain = Callable[[np.ndarray, np.ndarray, Mapping[str, pa.Array]], pa.Array]


@dataclass(frozen=True)
class Answer:
    """Predictions of a chunk: the fields of each row after its key, and totals that add up over chunks."""

    fields: dict[str, Field]
    totals: np.ndarray
    # What is watched for drift of what comes out, and, of recordings, of what goes in.
    said: Columns = field(default_factory=dict)
    given: Columns = field(default_factory=dict)


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
class _Plan:
    """What is done with every piece of a table.

    `columns` are repeated in the predictions, rows that are `known` left out, some of the others, as of a table of
    `sampled_of` rows, counted in the bins of `before`.
    """

    scorer: Scorer
    key: str | None
    columns: Sequence[str]
    known: Scored | None
    before: Counts | None
    sampled_of: int
    explain: Explain | None = None


@dataclass(frozen=True)
class _Scored:
    """Rows ready to be written; `end` is the number of the row after the last."""

    end: int
    rows: dict[str, Field]
    errors: dict[str, Field]
    totals: np.ndarray
    skipped: int
    digests: np.ndarray | None  # of the rows
    counts: np.ndarray | None


class RowScoring:
    """A model and the tables that it shall score (worker/scoring.py). Raises JobFailed (columns_missing, …)."""

    unit, has_files = "rows", False

    def __init__(
        self,
        files: Sequence[File],
        profile: Mapping[str, Any],
        scorer: Scorer,
        params: TableScoring,
        *,
        size: int,
        known: Scored | None = None,
        before: Counts | None = None,
        explain: Explain | None = None,
    ) -> None:
        key = profile["roles"]["id"]
        fitting.refuse_unfit(files, scorer.features, [*params.columns, *([key] if key else [])])
        self._pieces, self.total = tables.pieces(files), tables.count_rows(files)
        # What is new of a table that grows is little, and is looked at as a whole.
        sampled_of = self.total if known is None else 0
        self._plan = _Plan(scorer, key, params.columns, known, before, sampled_of, explain)
        self._nothing = _score(self._plan, tables.no_rows(files), 0)
        self.formats, self.size, self.empty = params.formats, size, self._nothing.rows
        self.remembers, self.before = known is not None, before

    def score(self, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        """Score the rows from `first` to before `end`; `progress(end)` is called row group by row group."""
        totals, skipped = self._nothing.totals, 0
        with (
            # The threads are ours; BLAS's own would only stand in their way.
            threadpool_limits(1, user_api="blas"),
            closing(_in_order(self._plan, tables.within(self._pieces, first, end))) as parts,
        ):
            for scored in parts:
                out.write(scored.rows, scored.errors, scored.digests)
                out.count(scored.counts)
                totals, skipped = totals + scored.totals, skipped + scored.skipped
                progress(scored.end)
        return {"totals": totals.tolist(), "skipped": skipped}

    def bury(self, row: int, reason: str, out: ChunkFiles) -> Json:
        """Say of a row why it cannot be scored, without touching it."""
        (piece,) = tables.within(self._pieces, row, row + 1)
        key = pa.array([row])
        if self._plan.key is not None:
            (batch,) = tables.read_piece(piece, [self._plan.key], rows=1)
            key = batch.column(0)
        out.write(self.empty, _errors(key, row, {0: (None, reason)}))
        return {"totals": self._nothing.totals.tolist(), "skipped": 0}

    def summarise(self, told: Sequence[Json], *, rows: int) -> Json:
        """What the result says of all chunks together; `rows` were scored."""
        totals = sum((np.array(each["totals"]) for each in told), start=self._nothing.totals)
        skipped = {"skipped": sum(each["skipped"] for each in told)} if self.remembers else {}
        return {**skipped, **self._plan.scorer.summarise(totals, rows)}


def score(
    paths: Sequence[Path],
    profile: Mapping[str, Any],
    scorer: Scorer,
    params: TableScoring,
    *,
    folder: Path,
    progress: Callable[[int, int], None],
    size: int = CHUNK_ROWS,
    before: Counts | None = None,
    explain: Explain | None = None,
) -> Json:
    """Write predictions.* and errors.* into the folder, chunk by chunk as a job would; return the summary.

    `progress(rows_done, rows_total)` is called after each row group, and may raise to stop.
    """
    scoring = RowScoring(paths, profile, scorer, params, size=size, before=before, explain=explain)
    told, rows = [], 0
    with PredictionFiles(folder, scoring.formats, scoring.empty) as files:
        for first in range(0, scoring.total, size):
            end = min(first + size, scoring.total)
            counted = 0 if before is None else before.size
            with ChunkFiles(folder / f"chunk-{first}", scoring.formats, scoring.empty, counted=counted) as out:
                told.append(scoring.score(first, end, out, lambda done: progress(done, scoring.total)))
                rows += out.rows
                archive = out.pack()
            files.append(archive)
            archive.unlink()
    return {"rows": scoring.total, "errors": scoring.total - rows, **scoring.summarise(told, rows=rows)}


def _in_order(plan: _Plan, pieces: Sequence[Piece]) -> Generator[_Scored, None, None]:
    """Score pieces side by side, and hand them over in their order; one more waits than there are threads.

    So a thread that is done goes on while its predecessor's rows are written.
    """
    threads = min(THREADS_AT_MOST, cores.count())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="scorer")
    under_way: deque[Future[list[_Scored]]] = deque()
    try:
        for piece in pieces:
            if len(under_way) == threads + 1:
                yield from under_way.popleft().result()
            under_way.append(pool.submit(_score_piece, plan, piece))
        while under_way:
            yield from under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _score_piece(plan: _Plan, piece: Piece) -> list[_Scored]:
    width = max(len(features.names(plan.scorer.features)), plan.scorer.outputs)
    columns = {*(each.name for each in plan.scorer.features), *plan.columns, *([plan.key] if plan.key else [])}
    scored, first = [], piece.first
    for batch in tables.read_piece(piece, sorted(columns), rows=max(1, BATCH_CELLS // width)):
        scored.append(_score(plan, batch, first))
        first = scored[-1].end
    return scored


def _score(plan: _Plan, batch: pa.RecordBatch, first: int) -> _Scored:
    x, bad = features.matrix(
        plan.scorer.features, {each.name: tables.column(batch.column(each.name)) for each in plan.scorer.features}
    )
    keys = batch.column(plan.key) if plan.key else pa.array(np.arange(first, first + len(x)))
    digests = None if plan.known is None else digests_of_rows(keys, x)
    is_new = np.ones(len(x), bool) if plan.known is None or digests is None else ~plan.known.has(digests)
    reasons = {row: why for row, why in _reasons(bad).items() if is_new[row]}
    good = is_new.copy()
    good[list(reasons)] = False
    outputs = plan.scorer.network(x if good.all() else x[good])
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        lost = np.flatnonzero(good)[~finite]
        reasons.update(dict.fromkeys(lost.tolist(), (None, NOT_FINITE)))
        good[lost], outputs = False, outputs[finite]
    answer = plan.scorer.answer(outputs)
    kept = pa.array(good)
    rows: dict[str, Field] = {"key": keys.filter(kept), **answer.fields}
    if plan.columns:
        rows["columns"] = {name: batch.column(name).filter(kept) for name in plan.columns}
    if plan.explain is not None:
        cells = {each.name: batch.column(each.name).filter(kept) for each in plan.scorer.features}
        rows["explanation"] = plan.explain(x[good], outputs, cells)
    errors, skipped = _errors(keys, first, reasons), int((~is_new).sum())
    known_by = None if digests is None else digests[good]
    counts = _count(plan, first, x, good, answer)
    return _Scored(first + len(x), rows, errors, answer.totals, skipped, known_by, counts)


def _count(plan: _Plan, first: int, x: np.ndarray, good: np.ndarray, answer: Answer) -> np.ndarray | None:
    """What drift is told by, of some of the rows that were scored."""
    if plan.before is None:
        return None
    sampled = good & drift.is_sampled(np.arange(first, first + len(x)), plan.sampled_of)
    if not sampled.any():
        return None
    # By its columns, as they are stored and as they are counted.
    given = drift.of_matrix(plan.scorer.features, x.T[:, sampled].T)
    return plan.before.count(given, drift.taken(answer.said, sampled[good]), int(sampled.sum()))


def _reasons(bad: Sequence[BadCells]) -> dict[int, tuple[str | None, str]]:
    """The first column at fault of each row that has one, and why."""
    found: dict[int, tuple[str | None, str]] = {}
    for cells in bad:
        for row, reason in zip(cells.rows.tolist(), cells.reasons, strict=True):
            found.setdefault(row, (cells.column, reason))
    return found


def _errors(keys: pa.Array, first: int, reasons: Mapping[int, tuple[str | None, str]]) -> dict[str, Field]:
    rows = sorted(reasons)
    return {
        "key": keys.take(pa.array(rows, pa.int64())),
        "row": pa.array([first + row for row in rows], pa.int64()),
        "reason": pa.array([reasons[row][1] for row in rows], pa.string()),
        "column": pa.array([reasons[row][0] for row in rows], pa.string()),
    }
