"""Score recordings: track after track, what is heard becomes a row, and the files that belong to it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Row

from shared.errors import Fault, JobFailed
from worker import perception, tables
from worker.desk import Desk
from worker.lines import Field
from worker.perception import Heard, Wants
from worker.prediction_files import PredictionFiles
from worker.predictions import Answer
from worker.preparation import listed
from worker.recordings import Track
from worker.track_files import TrackFile, TrackFiles

Json = dict[str, Any]

# Rows that are written together: also the rows of a group of the Parquet file.
TRACKS_A_CHUNK = 64


class Listener(Protocol):
    """A model made ready to score recordings."""

    wants: Wants

    def answer(self, heard: Sequence[Heard]) -> Answer:
        """Turn what was heard into predictions, a row a track; there may be none."""

    def files(self, heard: Heard) -> Iterator[TrackFile]:
        """The files of one track."""

    def summarise(self, totals: np.ndarray, rows: int) -> Json:
        """What the job's result says of all tracks together; `rows` may be 0."""


def score(
    desk: Desk,
    paths: Sequence[Path],
    tracks: Sequence[Track],
    uploads: Mapping[str, Row[Any]],
    listener: Listener,
    params: Any,  # Any: of the kind; formats and columns are common
    *,
    folder: Path,
) -> tuple[Json, dict[str, int]]:
    """Write predictions.*, errors.* and files.* into the folder; return the summary, and the rows of each file."""
    table = _columns(paths, params.columns)
    nothing = listener.answer([])
    totals, failed = nothing.totals, 0
    with TrackFiles(folder) as files, PredictionFiles(folder, params.formats, _rows([], nothing, table)) as out:
        for chunk in _chunks(perception.perceive(desk, tracks, uploads, listener.wants)):
            good = [heard for heard in chunk if heard.fault is None]
            answer = listener.answer(good)
            out.write(_rows(good, answer, table), _errors([heard for heard in chunk if heard.fault is not None]))
            for heard in good:
                files.add(heard.track.number, heard.track.key, listener.files(heard))
            totals, failed = totals + answer.totals, failed + len(chunk) - len(good)
        count = files.count
    rows = len(tracks) - failed
    summary = {"rows": len(tracks), "errors": failed, "files": count, **listener.summarise(totals, rows)}
    return summary, {"predictions": rows, "errors": failed, "files": count}


def _chunks(heard: Iterable[Heard]) -> Iterator[list[Heard]]:
    one_by_one = iter(heard)
    while chunk := list(islice(one_by_one, TRACKS_A_CHUNK)):
        yield chunk


def _columns(paths: Sequence[Path], names: Sequence[str]) -> pa.Table:
    """The columns of the manifest that are repeated in the predictions."""
    present = tables.schema(paths)
    absent = [name for name in names if name not in present]
    if absent:
        faults = [Fault("expected a column of this name", column=name) for name in absent]
        said = f"The manifest lacks columns that are needed: {listed(absent)}. Rename or add them."
        raise JobFailed(said, code="columns_missing", faults=faults)
    return pa.concat_tables([pq.read_table(path, columns=list(names)) for path in paths])


def _rows(good: Sequence[Heard], answer: Answer, table: pa.Table) -> dict[str, Field]:
    rows: dict[str, Field] = {"key": pa.array([heard.track.key for heard in good], pa.string()), **answer.fields}
    if table.column_names:
        chosen = table.take(pa.array([heard.track.number for heard in good], pa.int64())).combine_chunks()
        rows["columns"] = {name: chosen.column(name).combine_chunks() for name in table.column_names}
    return rows


def _errors(bad: Sequence[Heard]) -> dict[str, Field]:
    faults = [heard.fault or ("", "") for heard in bad]
    return {
        "key": pa.array([heard.track.key for heard in bad], pa.string()),
        "row": pa.array([heard.track.number for heard in bad], pa.int64()),
        "reason": pa.array([detail for _, detail in faults], pa.string()),
        "code": pa.array([code for code, _ in faults], pa.string()),
    }
