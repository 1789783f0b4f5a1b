"""Score recordings: track after track, what is heard becomes a row, and the files that belong to it."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Row

from shared.audio_params import Precision
from shared.errors import Fault, JobFailed
from worker import drift, explaining, perception, recordings, references, tables
from worker.desk import Desk
from worker.drift import Counts
from worker.explaining import Chosen
from worker.heard import Heard, Truth
from worker.lines import Field
from worker.listener import Listener
from worker.prediction_files import ChunkFiles
from worker.predictions import Answer
from worker.preparation import listed
from worker.recordings import Track
from worker.scored import Scored, digests_of_tracks

Json = dict[str, Any]

# Few, as what was heard of a track may be megabytes.
WRITTEN_TOGETHER = 16


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


class TrackScoring:
    """A model and the catalogue that it shall score (worker/scoring.py). Raises JobFailed (columns_missing)."""

    unit, has_files = "tracks", True

    def __init__(
        self,
        desk: Desk,
        catalogue: Catalogue,
        listener: Listener,
        params: Any,
        *,
        size: int,
        known: Scored | None = None,
        before: Counts | None = None,
    ) -> None:
        self._known, self.remembers, self.before = known, known is not None, before
        self._table = _columns(catalogue.paths, params.columns)
        self._desk, self._catalogue, self._explain = desk, catalogue, params.reason

        def means(precision: Precision) -> Generator[tuple[Track, np.ndarray], None, None]:
            return perception.means(desk, catalogue.tracks, catalogue.uploads, precision)

        self._listener = listener.prepared(means)
        self._nothing = self._listener.answer([])
        self.total, self.size, self.formats = len(catalogue.tracks), size, params.formats
        self.empty = _rows([], self._nothing, self._table)

    def score(self, first: int, end: int, out: ChunkFiles, progress: Callable[[int], None]) -> Json:
        """Score the tracks from `first` to before `end`."""
        totals, claimed, measured = self._nothing.totals, list[Chosen](), list[Mapping[str, float]]()
        tracks, skipped = self._new(self._catalogue.tracks[first:end])
        hearing = perception.perceive(
            self._desk, tracks, self._catalogue.uploads, self._listener.wants, lambda done: progress(first + done)
        )
        with closing(hearing) as heard:
            for some in _some(heard):
                good = [each for each in some if each.fault is None]
                answer = self._listener.answer(good)
                bad = [each for each in some if each.fault is not None]
                out.write(_rows(good, answer, self._table), _errors(bad), _digests([each.track for each in good]))
                for each in good:
                    out.add(each.track.number, each.track.key, self._listener.files(each))
                measured += self._measure(good)
                claimed += self._claims(good)
                totals = totals + answer.totals
                out.count(self._count(good, answer))
        worst = self._tell_reasons(claimed, out)
        return {"totals": totals.tolist(), "measured": measured, "explained": len(claimed), "worst": worst,
                "skipped": skipped}  # fmt: skip

    def _new(self, tracks: Sequence[Track]) -> tuple[Sequence[Track], int]:
        """The tracks that were not scored before, and how many were."""
        if self._known is None:
            return tracks, 0
        is_known = self._known.has(_digests(tracks)).tolist()
        return [track for track, known in zip(tracks, is_known, strict=True) if not known], sum(is_known)

    def _count(self, good: Sequence[Heard], answer: Answer) -> np.ndarray | None:
        """What drift is told by, of some of the tracks that were heard."""
        if self.before is None or not good:
            return None
        # What is new of a catalogue that grows is little, and is looked at as a whole.
        of = 0 if self.remembers else self.total
        sampled = drift.is_sampled(np.array([each.track.number for each in good], np.int64), of)
        given, said = (drift.taken(each, sampled) for each in (answer.given, answer.said))
        return self.before.count(given, said, int(sampled.sum()))

    def _measure(self, good: Sequence[Heard]) -> list[Mapping[str, float]]:
        truths = self._catalogue.truths
        return [self._listener.compare(each, truths[each.track.number]) for each in good if each.track.number in truths]

    def _claims(self, good: Sequence[Heard]) -> list[Chosen]:
        """Of the first tracks of the job. The claims alone are kept: what was heard would be gigabytes."""
        if self._explain is None:
            return []
        chosen = [each for each in good if each.track.number < self._explain.tracks]
        return [Chosen(each.track, self._listener.claims(each, self._explain.labels)) for each in chosen]

    def _tell_reasons(self, claimed: Sequence[Chosen], out: ChunkFiles) -> float:
        if self._explain is None or not claimed:
            return 0.0
        return explaining.explain(self._desk, claimed, self._catalogue.uploads, self._listener, self._explain, out.add)

    def bury(self, row: int, reason: str, out: ChunkFiles) -> Json:
        """Say of a track why it cannot be scored, without touching it."""
        out.write(self.empty, _errors([Heard(self._catalogue.tracks[row], fault=("row_unscorable", reason))]))
        return {"totals": self._nothing.totals.tolist(), "measured": [], "explained": 0, "worst": 0.0,
                "skipped": 0}  # fmt: skip

    def summarise(self, told: Sequence[Json], *, rows: int) -> Json:
        """What the result says of all tracks together; `rows` were scored."""
        totals = sum((np.array(each["totals"]) for each in told), start=self._nothing.totals)
        said = self._listener.summarise(totals, rows)
        if self.remembers:
            said = {"skipped": sum(each["skipped"] for each in told), **said}
        if any(each["explained"] for each in told):
            tracks, worst = sum(each["explained"] for each in told), max(each["worst"] for each in told)
            said |= {"explained": {"tracks": tracks, "largest_completeness_error": worst}}
        return {**said, **_means([each for chunk in told for each in chunk["measured"]])}


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


def _some(heard: Iterable[Heard]) -> Iterator[list[Heard]]:
    one_by_one = iter(heard)
    while some := list(islice(one_by_one, WRITTEN_TOGETHER)):
        yield some


def _columns(paths: Sequence[Path], names: Sequence[str]) -> pa.Table:
    """The columns of the manifest that are repeated in the predictions."""
    present = set.intersection(*(set(tables.schema([path])) for path in paths))
    absent = [name for name in names if name not in present]
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


def _digests(tracks: Sequence[Track]) -> np.ndarray:
    return digests_of_tracks([track.key for track in tracks], [track.content for track in tracks])


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
