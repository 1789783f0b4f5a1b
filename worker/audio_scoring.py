"""Score recordings: track after track, what is heard becomes a row, and the files that belong to it."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Row

from shared.audio_params import Reason
from shared.errors import Fault, JobFailed
from worker import explaining, perception, recordings, references, tables
from worker.desk import Desk
from worker.explaining import Chosen
from worker.heard import Heard, Truth, Wants
from worker.lines import Field
from worker.listener import Listener
from worker.prediction_files import PredictionFiles
from worker.predictions import Answer
from worker.preparation import listed
from worker.recordings import Track
from worker.track_files import TrackFiles

Json = dict[str, Any]

# Rows that are written together: also the rows of a group of the Parquet file.
TRACKS_A_CHUNK = 64


@dataclass(frozen=True)
class Catalogue:
    """The tracks of a scoring, numbered through all its datasets, and what belongs to them."""

    paths: Sequence[Path]
    tracks: Sequence[Track]
    uploads: Mapping[str, Row[Any]]  # by the SHA-256 of their bytes
    truths: Mapping[int, Truth]


def open_catalogue(desk: Desk, rows: Sequence[Row[Any]], parts: Sequence[Sequence[Path]]) -> Catalogue:
    """Read the tables of the datasets, and what they say is true."""
    tracks: list[Track] = []
    truths: dict[int, Truth] = {}
    for row, paths in zip(rows, parts, strict=True):
        truths.update(references.read(desk, row, paths, first=len(tracks)))
        tracks += recordings.read(paths, first=len(tracks))
    uploads = {file.sha256: file for row in rows for file in desk.uploads(row)}
    return Catalogue([path for paths in parts for path in paths], tracks, uploads, truths)


def score(
    desk: Desk,
    catalogue: Catalogue,
    listener: Listener,
    params: Any,  # Any: of the kind; formats, columns and explain are common
    *,
    folder: Path,
) -> tuple[Json, dict[str, int]]:
    """Write predictions.*, errors.* and files.* into the folder; return the summary, and the rows of each file."""
    table, total = _columns(catalogue.paths, params.columns), len(catalogue.tracks)

    def hear(wants: Wants) -> Generator[Heard, None, None]:
        return perception.perceive(desk, catalogue.tracks, catalogue.uploads, wants)

    listener = listener.prepared(hear)
    nothing = listener.answer([])
    totals, failed = nothing.totals, 0
    explained: list[Chosen] = []
    measured: list[Mapping[str, float]] = []
    with (
        closing(hear(listener.wants)) as tracks,
        TrackFiles(folder) as files,
        PredictionFiles(folder, params.formats, _rows([], nothing, table)) as out,
    ):
        for chunk in _chunks(tracks):
            good = [heard for heard in chunk if heard.fault is None]
            answer = listener.answer(good)
            out.write(_rows(good, answer, table), _errors([heard for heard in chunk if heard.fault is not None]))
            for heard in good:
                files.add(heard.track.number, heard.track.key, listener.files(heard))
                if heard.track.number in catalogue.truths:
                    measured.append(listener.compare(heard, catalogue.truths[heard.track.number]))
            if params.explain is not None:
                # The claims alone are kept: what was heard of a thousand tracks would be gigabytes.
                explained += [
                    Chosen(heard.track, listener.claims(heard, params.explain.labels))
                    for heard in good[: params.explain.tracks - len(explained)]
                ]
            totals, failed = totals + answer.totals, failed + len(chunk) - len(good)
        reasons = _explain(desk, explained, catalogue.uploads, listener, params.explain, files) if explained else {}
        count = files.count
    rows = total - failed
    said = {"rows": total, "errors": failed, "files": count, **listener.summarise(totals, rows)}
    return {**said, **reasons, **_means(measured)}, {"predictions": rows, "errors": failed, "files": count}


def _explain(
    desk: Desk,
    chosen: Sequence[Chosen],
    uploads: Mapping[str, Row[Any]],
    listener: Listener,
    wanted: Reason,
    files: TrackFiles,
) -> Json:
    desk.enter("explaining")
    worst = explaining.explain(desk, chosen, uploads, listener, wanted, files)
    return {"explained": {"tracks": len(chosen), "largest_completeness_error": worst}}


def _means(measured: Sequence[Mapping[str, float]]) -> Json:
    """The mean of each metric over the tracks that have it."""
    names = dict.fromkeys(name for each in measured for name in each)
    if not names:
        return {}
    values = {name: [each[name] for each in measured if name in each] for name in names}
    return {
        "metrics": {
            name: {"value": sum(found) / len(found), "interval": None, "tracks": len(found)}
            for name, found in values.items()
        }
    }


def _chunks(heard: Iterable[Heard]) -> Iterator[list[Heard]]:
    one_by_one = iter(heard)
    while chunk := list(islice(one_by_one, TRACKS_A_CHUNK)):
        yield chunk


def _columns(paths: Sequence[Path], names: Sequence[str]) -> pa.Table:
    """The columns of the manifest that are repeated in the predictions."""
    absent = [name for name in names if any(name not in tables.schema([path]) for path in paths)]
    if absent:
        faults = [Fault("expected a column of this name in every dataset", column=name) for name in absent]
        said = f"A manifest lacks columns that are needed: {listed(absent)}. Rename or add them."
        raise JobFailed(said, code="columns_missing", faults=faults)
    parts = [pq.read_table(path, columns=list(names)) for path in paths]
    return pa.concat_tables([_as_texts(part, _mixed(parts)) for part in parts], promote_options="permissive")


def _mixed(parts: Sequence[pa.Table]) -> list[str]:
    """The columns that one dataset has as text and another as something else."""
    kinds = {name: {part.schema.field(name).type for part in parts} for name in parts[0].column_names}
    return [name for name, types in kinds.items() if len(types) > 1 and any(map(pa.types.is_string, types))]


def _as_texts(part: pa.Table, names: Sequence[str]) -> pa.Table:
    for name in names:
        place = part.column_names.index(name)
        part = part.set_column(place, name, part.column(name).cast(pa.string()))
    return part


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
