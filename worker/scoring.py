"""A scoring in chunks: whoever has claimed the job cuts it and puts together what it and its guests have made.

A chunk's output is stored once and never changed. Whoever did it, the whole is the same, byte for byte.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shared import chunks
from shared.chunks import Chunk, Done
from shared.errors import (
    ClaimLost,
    Drained,
    EtudeError,
    JobCancelled,
    JobFailed,
    Stalled,
    TryAgain,
    Unavailable,
)
from shared.log import logger
from worker import disk
from worker.desk import Desk
from worker.drift import Counts
from worker.expense import Expense, Used, read_used
from worker.lines import Field
from worker.prediction_files import ChunkFiles, PredictionFiles

Json = dict[str, Any]

# Each is a row of SQL, and some statements.
CHUNKS_AT_MOST = 10_000
# Between two looks at what others have done, when no chunk is open any more.
WAIT_S = 0.1
# The errors that are not about a chunk's rows.
LEAVING = (ClaimLost, JobCancelled, Drained, Stalled, TryAgain, Unavailable, JobFailed)

log = logger("scoring")


class Scoring(Protocol):
    """A model and what it shall score."""

    @property
    def total(self) -> int:
        """Rows, or tracks, in all."""

    @property
    def unit(self) -> str:
        """What is counted: rows or tracks."""

    @property
    def size(self) -> int:
        """Rows of a chunk."""

    @property
    def formats(self) -> Sequence[str]:
        """The files that are wanted."""

    @property
    def empty(self) -> Mapping[str, Field]:
        """The fields of a chunk of no rows."""

    @property
    def before(self) -> Counts | None:
        """How the rows of the model's training were distributed; None where that is not known."""

    @property
    def has_files(self) -> bool:
        """Whether tracks have files of their own."""

    @property
    def remembers(self) -> bool:
        """Whether rows that were scored before are left out, and those of now are known later."""

    def score(self, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        """Score the rows from `first` to before `end`; returns what adds up over chunks. `progress(end)` may raise."""

    def bury(self, row: int, reason: str, out: ChunkFiles) -> Json:
        """Say of a row why it cannot be scored, without touching it."""

    def summarise(self, told: Sequence[Json], *, rows: int) -> Json:
        """What the result says of all chunks together, in their order; `rows` were scored."""


@dataclass
class Whole:
    """What was put together up to now."""

    end: int = 0
    rows: int = 0
    errors: int = 0
    files: int = 0
    told: list[Json] = field(default_factory=list)
    # What drift is told by; no array where nothing was counted, or not all.
    counts: np.ndarray | int | None = None
    is_cancelled: bool = False
    # The budget, where that and not the client ended it.
    stopped_by: str | None = None


def run(desk: Desk, scoring: Scoring, folder: Path, *, resume_of: str | None, rights: Json) -> Whole:
    """Have every chunk done that `resume_of` has not, and write the whole; once cancelled, what was done by then."""
    size = max(scoring.size, -(-scoring.total // CHUNKS_AT_MOST))
    with desk.database.transaction() as sql:
        chunks.cut(sql, desk.claim, total=scoring.total, size=size, resume_of=resume_of)
    # One of them is done here.
    # Added up anew, from the chunks.
    desk.heart.helped = Used()
    if others := max(0, -(-scoring.total // size) - 1):
        desk.ring(others)
    whole = Whole()
    with PredictionFiles(folder, scoring.formats, scoring.empty, rights=rights, **_beside_rows(scoring)) as files:
        try:
            while whole.end < scoring.total:
                if desk.is_budget_spent():
                    whole.stopped_by = "budget"
                    raise JobCancelled("The budget of the job is spent.")
                tell = _report(desk, scoring)
                chunk = _take(desk)
                kept = {} if chunk is None else _do(desk, scoring, chunk, tell)
                _put_together(desk, files, whole, kept)
                if chunk is None and whole.end < scoring.total:
                    time.sleep(WAIT_S)
        except JobCancelled:
            whole.is_cancelled = True
            _put_together(desk, files, whole, {}, gaps=True)
        whole.counts = files.counts
    return whole


def help_with(desk: Desk, scoring: Scoring, chunk: Chunk, expense: Expense) -> None:
    """Do one chunk as a guest; what `expense` has counted by its end is the job's to pay."""
    for path in _do(desk, scoring, chunk, lambda _: desk.check(), expense=expense).values():
        path.unlink()


def _take(desk: Desk) -> Chunk | None:
    desk.check()
    with desk.database.transaction() as sql:
        return chunks.take(sql, desk.claim, lease_s=desk.claim.lease_s)


def _do(
    desk: Desk, scoring: Scoring, chunk: Chunk, tell: Callable[[int], None], *, expense: Expense | None = None
) -> dict[int, Path]:
    """Score a chunk and record it; returns the local copy of its output by its first row, or nothing if it failed."""
    desk.mark = f"{chunk.first}-{chunk.fence}-"
    try:
        archive, said = _score(desk, scoring, chunk, tell)
    except LEAVING:
        raise
    except Exception as cause:
        if disk.is_full(cause):
            raise disk.full() from cause
        # One row of many may do this: others try it, then it is looked for.
        log.exception("chunk_failed", first=chunk.first, rows=chunk.rows)
        with desk.database.transaction() as sql:
            chunks.fail(sql, desk.claim, chunk, _as_error(cause))
        return {}
    output = {**said, "file": desk.put_chunk(archive)}
    if expense is not None:
        output["helped"] = expense.used()[0].as_json()
    with desk.database.transaction() as sql:
        chunks.finish(sql, desk.claim, chunk, output)
    return {chunk.first: archive}


def _score(desk: Desk, scoring: Scoring, chunk: Chunk, tell: Callable[[int], None]) -> tuple[Path, Json]:
    with _chunk_files(desk, scoring, chunk) as out:
        if chunk.is_poison:
            reason = (chunk.error or {}).get("detail", "it ended every attempt")
            said = scoring.bury(chunk.first, f"the row cannot be scored: {reason}", out)
        else:
            said = scoring.score(chunk.first, chunk.end, out, lambda end: tell(end - chunk.first))
        counts = {"rows": out.rows, "errors": out.errors, "files": out.files}
        return out.pack(), {**counts, "told": said}


@contextmanager
def _chunk_files(desk: Desk, scoring: Scoring, chunk: Chunk) -> Iterator[ChunkFiles]:
    folder = desk.scratch / f"chunk-{chunk.first}"
    counted = 0 if scoring.before is None else scoring.before.size
    with ChunkFiles(folder, scoring.formats, scoring.empty, counted=counted, **_beside_rows(scoring)) as out:
        yield out


def _beside_rows(scoring: Scoring) -> dict[str, bool]:
    """What a chunk holds beside its rows, and so the whole."""
    return {"has_files": scoring.has_files, "remembers": scoring.remembers}


def _as_error(cause: Exception) -> EtudeError:
    return EtudeError(f"{type(cause).__name__} while it was scored.", code="row_unscorable")


def _put_together(
    desk: Desk, files: PredictionFiles, whole: Whole, kept: Mapping[int, Path], *, gaps: bool = False
) -> None:
    """Add the chunks that are done and next in order; of those that were done here, `kept` has the local copy."""
    while done := _done(desk, whole.end, gaps=gaps):
        for chunk in done:
            said = chunk.output["file"]
            archive = kept.get(chunk.first) or desk.fetch(said["key"], name="chunk.zip", sha256=said["sha256"])
            files.append(archive)
            archive.unlink()
            whole.end = chunk.end
            whole.rows, whole.errors = whole.rows + chunk.output["rows"], whole.errors + chunk.output["errors"]
            whole.files += chunk.output["files"]
            whole.told.append(chunk.output["told"])
            desk.heart.helped = desk.heart.helped.plus(read_used(chunks.helped(chunk.output)))
            desk.heart.move()
    for path in kept.values():
        # It waits in the storage for those before it.
        path.unlink(missing_ok=True)


def _done(desk: Desk, first: int, *, gaps: bool) -> list[Done]:
    with desk.database.reading() as sql:
        return chunks.done_from(sql, desk.claim.job_id, first, gaps=gaps)


def _report(desk: Desk, scoring: Scoring) -> Callable[[int], None]:
    """Tell how far all are; returns what tells how many rows more were done here since then."""
    with desk.database.reading() as sql:
        tally = chunks.tally(sql, desk.claim.job_id)
    if tally.buried > chunks.BURIED_AT_MOST:
        said = f"More than {chunks.BURIED_AT_MOST} rows ended every attempt to score them: see the operator's log."
        raise JobFailed(said, code="rows_unscorable")
    figures = {"chunks": tally.chunks, "chunks_total": tally.total_chunks, "workers": tally.workers}

    def tell(more: int) -> None:
        desk.report_scored(tally.rows + more, scoring.total, unit=scoring.unit, figures=figures)

    tell(0)
    return tell
