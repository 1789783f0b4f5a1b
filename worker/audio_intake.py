"""The ingest of a dataset of audio: every track is heard once, judged, and listed with what is wrong with it.

Files are decoded in confined children (worker/listening.py); here are only their answers.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row

from shared import datasets
from shared.errors import Fault, JobFailed
from shared.features import Feature
from worker import hearing, ingest, manifest, quarantine, recordings, track_report
from worker import roles as roles_of_tables
from worker.audio import fingerprint, sniff
from worker.desk import Desk
from worker.ending import Ending
from worker.extractors import EAR
from worker.formats import canonical
from worker.formats.scratch import Scratch
from worker.formats.source import rejection
from worker.lines import JsonLines
from worker.listening import Answer
from worker.manifest import Entry, Flaw, Uploads
from worker.recordings import Track

Json = dict[str, Any]
Upload = Row[Any]

MOST_TRACKS = 100_000
TABLE, REPORTS = "part-00000.parquet", "tracks.jsonl"
# Roles that a table has, too.
OF_TABLES = ("target", "group", "id", "mask", "drop", "licence", "consent")
WANTED: Json = {"quality": True, "loudness": True, "fingerprint": None}


@dataclass(frozen=True)
class Listed:
    """The manifest as a table, who is who in it, an entry a row, and the files that no row is about."""

    table: pa.Table
    roles: Json
    entries: list[Entry]
    unnamed: list[str]
    warnings: list[Json]


def run(desk: Desk, row: Upload) -> Ending:
    """Hear every track of a dataset and make its table, its profile and its reports."""
    desk.enter("fetching")
    desk.adds_to = desk.bases(row)
    uploads = {file.name: file for file in desk.uploads(row)}
    listed = _list(desk, row, uploads)
    _refuse_many(listed.entries)
    desk.enter("listening")
    tracks = [_track(entry, number, uploads) for number, entry in enumerate(listed.entries)]
    heard = _hear(desk, tracks, uploads)
    tracks = _alike([_judged(track, heard) for track in tracks], heard.said, desk.check)
    desk.enter("storing")
    reports = [track_report.report(track, heard.said.get(track.content), tracks) for track in tracks]
    profile = _profile(desk, listed, tracks, reports)
    parts = desk.put_parts(row, write(desk.scratch, listed.table, tracks, reports))

    def record(sql: Connection) -> Json:
        # A recording that was erased meanwhile must not live on in another version.
        for base in desk.adds_to:
            datasets.demand_unchanged(sql, base)
        contents = [track.content for track in tracks]
        datasets.mark_ready(sql, row.id, parts=parts, profile=profile, recordings=contents)
        return {"dataset": row.id, "rows": profile["rows"], "audio": profile["audio"], "warnings": profile["warnings"]}

    return Ending(record)


def _list(desk: Desk, row: Upload, uploads: dict[str, Upload]) -> Listed:
    """Read the manifests, of this version and those that it adds to, or make one of the files' names."""
    sorted_ = sort(desk.uploads_by_version(row))
    if not sorted_.manifests:
        table = manifest.without(sorted_.names)
        part = asdict(roles_of_tables.assign(table.column_names, named(row)))
        roles = {**part, **manifest.roles(table.column_names, row.columns)}
        entries = manifest.match(table, sorted_.names, roles, id=None)
        return Listed(table, roles, entries, [], [])
    with quarantine.watching(desk, [file for file, _ in sorted_.manifests]):
        files = [ingest.UploadedFile(name, desk.fetch_upload(file)) for file, name in sorted_.manifests]
        read = ingest.run(files, columns=named(row), out_dir=desk.scratch, progress=desk.report_rows)
    table = pq.read_table(read.paths[0])
    roles = {**read.profile["roles"], **manifest.roles(table.column_names, row.columns)}
    entries = manifest.match(table, sorted_.names, roles, id=row.columns.get("id"))
    labels = [
        tuple(values) for values in zip(*(table.column(name).to_pylist() for name in roles["target"]), strict=True)
    ]
    if labels:
        entries = manifest.refuse_conflicts(entries, labels)
    guessed = [each for each in read.profile["warnings"] if each["code"] in ("target_inferred", "group_inferred")]
    return Listed(table, roles, entries, manifest.unnamed(entries, sorted_.names), guessed)


def named(row: Upload) -> Json:
    """The columns of a manifest that play a part in any table, too."""
    return {role: row.columns[role] for role in OF_TABLES if role in row.columns}


@dataclass(frozen=True)
class Sorted:
    """The manifests of all versions that count, each under the name by which it is read, and what else there is."""

    manifests: list[tuple[Upload, str]]
    names: Uploads


def sort(versions: Sequence[Sequence[Upload]]) -> Sorted:
    """Each version has a manifest of its own; its rows may be about files of earlier ones."""
    manifests: list[tuple[Upload, str]] = []
    audio: list[str] = []
    references: list[str] = []
    for number, files in enumerate(versions):
        by_name = {file.name: file for file in files}
        found = manifest.sort(list(by_name))
        audio += [name for name in found.audio if name not in audio]
        references += found.references
        if found.manifest in manifest.WHOLE:
            # It has the rows of all before it.
            manifests.clear()
        if found.manifest is not None:
            name = found.manifest if len(versions) == 1 else f"{number:04d} {found.manifest}"
            manifests.append((by_name[found.manifest], name))
    if not audio:
        said = "expected recordings (.wav, .flac, .mp3, .ogg, .opus), received none"
        raise rejection([Fault(said, code="dataset_empty")], 1)
    return Sorted(manifests, Uploads(None, audio, references))


def _refuse_many(entries: Sequence[Entry]) -> None:
    if len(entries) > MOST_TRACKS:
        said = f"expected at most {MOST_TRACKS:,} tracks, received {len(entries):,}: make several datasets of them"
        raise rejection([Fault(said, code="table_too_large")], 1)


def _track(entry: Entry, number: int, uploads: dict[str, Upload]) -> Track:
    upload = None if entry.upload is None else uploads[entry.upload].sha256
    content = "" if upload is None else recordings.content_of(upload, entry.start_s, entry.end_s)
    code, reason = entry.fault or (None, None)
    return Track(
        number=number, key=entry.key, file=entry.file, upload=upload, content=content, start_s=entry.start_s,
        end_s=entry.end_s, duration_s=None, same_as=None, fault=code, reason=reason,
    )  # fmt: skip


@dataclass
class _Heard:
    """What the ear says of every content; and of what it could not hear, why not.

    A fault is remembered by nobody: it may lie in the name that the bytes have this time, or in a decoder that was
    killed.
    """

    said: dict[str, Json]
    flaws: dict[tuple[str, str], Flaw] = field(default_factory=dict)


def _named(track: Track) -> tuple[str, str]:
    """What is heard, and what its name says that it is."""
    return track.content, sniff.suffix(track.file.strip())


def _hear(desk: Desk, tracks: Sequence[Track], uploads: dict[str, Upload]) -> _Heard:
    """Hear every content that nobody has heard before."""
    wanted = {_named(track): track for track in tracks if track.fault is None}
    known = desk.known(EAR, sorted({content for content, _ in wanted}))
    heard = _Heard({content: row.data for content, row in known.items()})
    missing = [track for track in wanted.values() if track.content not in known]
    done, hours = len(wanted) - len(missing), sum(said["duration_s"] for said in heard.said.values()) / 3600
    by_digest = {file.sha256: file for file in uploads.values()}
    for track, answer in hearing.hear(desk, missing, by_digest, lambda _: WANTED):
        if answer.heard is None:
            heard.flaws[_named(track)] = _flaw(answer)
        else:
            heard.said[track.content] = answer.heard
            desk.learn(Feature(track.content, EAR, data=answer.heard))
            hours += answer.heard["duration_s"] / 3600
        done += 1
        desk.report_tracks(done, len(wanted), hours=hours)
    desk.learn_all()
    return heard


def _flaw(answer: Answer) -> Flaw:
    assert answer.fault is not None
    return Flaw(answer.fault.code or "audio_corrupt", answer.fault.message)


def _judged(track: Track, heard: _Heard) -> Track:
    if track.fault is not None:
        return track
    said, flaw = heard.said.get(track.content), heard.flaws.get(_named(track))
    if said is not None and (wrong := sniff.misnamed(track.file.strip(), said["format"])):
        # Its twin has the right name, or had it another time.
        flaw = Flaw("unsupported_format", wrong)
    if flaw is not None:
        return replace(track, fault=flaw.code, reason=flaw.detail)
    assert said is not None
    return replace(track, duration_s=said["duration_s"])


def _alike(tracks: list[Track], heard: dict[str, Json], check: Callable[[], None]) -> list[Track]:
    """Say of each track which one is the first that sounds the same."""
    usable = [track for track in tracks if track.fault is None]
    prints = [heard[track.content]["fingerprint"]["hash"] for track in usable]
    names = [track.key for track in usable]
    alike = [(pair.first, pair.second) for pair in fingerprint.pairs(prints, names=names, check=check)]
    place = {track.content: number for number, track in enumerate(usable)}
    alike += [(place[track.content], number) for number, track in enumerate(usable)]
    firsts = _firsts(len(usable), alike)
    same = {track.number: usable[first].number for track, first in zip(usable, firsts, strict=True)}
    return [replace(track, same_as=same.get(track.number)) for track in tracks]


def _firsts(count: int, alike: Sequence[tuple[int, int]]) -> list[int]:
    """Of each place the first one that it is alike with, be it by way of others."""
    firsts = list(range(count))

    def find(place: int) -> int:
        while firsts[place] != place:
            firsts[place] = place = firsts[firsts[place]]
        return place

    for one, other in alike:
        low, high = sorted((find(one), find(other)))
        firsts[high] = low
    return [find(place) for place in range(count)]


def _profile(desk: Desk, listed: Listed, tracks: Sequence[Track], reports: Sequence[Json]) -> Json:
    if all(track.fault is not None for track in tracks):
        faults = [
            # Of a row about no file that there is, the name is a cell.
            Fault(str(track.reason), file=track.file if track.upload else None, row=track.number, code=track.fault)
            for track in tracks
        ]
        raise _unusable(faults)
    with Scratch(desk.scratch) as scratch:
        said = track_report.profile(listed.table, listed.roles, reports, listed.unnamed, scratch)
    return {**said, "warnings": [*listed.warnings, *said["warnings"]]}


def _unusable(faults: list[Fault]) -> JobFailed:
    said = f"No track can be used. {faults[0].file or 'The first row'}: {faults[0].message}."
    return JobFailed(said, code="dataset_rejected", faults=faults, faults_total=len(faults))


def write(folder: Path, table: pa.Table, tracks: Sequence[Track], reports: Sequence[Json]) -> Iterator[Path]:
    """Write the table with our columns, and the reports with their index; yields each file once it is written."""
    for name, column in recordings.columns(tracks).items():
        table = table.append_column(name, column)
    for _ in canonical.write(folder / TABLE, table.schema, table.to_batches()):
        pass
    yield folder / TABLE
    with JsonLines(folder / REPORTS) as lines:
        for each in reports:
            lines.write(json.dumps(each, ensure_ascii=False, allow_nan=False))
    yield folder / REPORTS
    yield (folder / REPORTS).with_suffix(".index")
