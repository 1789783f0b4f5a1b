"""Versions of a dataset of audio without one recording: the row of a key, and all rows about the same uploaded file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sqlalchemy import Row

from shared import datasets
from shared.erasing import Change, Uploads
from shared.errors import JobFailed
from worker import audio_intake, ingest, manifest, recordings, rewriting, track_report
from worker.audio_intake import REPORTS
from worker.desk import Desk
from worker.formats.scratch import Scratch
from worker.manifest import PREFIX, REMAINING
from worker.recordings import Track

Json = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """A version as it is: its table, a track a row, its own files, and those that it is made of, by version."""

    row: Row[Any]
    table: pa.Table
    tracks: list[Track]
    own: list[Row[Any]]
    chain: list[tuple[Row[Any], list[Row[Any]]]]  # empty where one of them is deleted

    @property
    def references(self) -> list[str | None]:
        """Of each row the SHA-256 of the file with its notes."""
        column = self.row.profile["roles"].get("notes")
        if column is None:
            return [None] * len(self.tracks)
        by_name = {file.name: file.sha256 for _, files in self.chain for file in files}
        return [by_name.get(str(cell)) for cell in self.table.column(column).to_pylist()]


@dataclass(frozen=True)
class Gone:
    """What goes: rows of each version by number, and files by their SHA-256."""

    rows: dict[str, set[int]]
    files: set[str]


def without(desk: Desk, rows: Sequence[Row[Any]], wanted: str) -> list[Change]:
    """The versions that lose something, without the recording whose key has this pseudonym. Raises JobFailed."""
    versions = [_open(desk, row) for row in rows]
    gone = _find(desk, versions, wanted)
    for version in versions:
        _refuse_held(version, gone)
    return [_change(desk, version, gone) for version in versions if _loses(version, gone)]


def _open(desk: Desk, row: Row[Any]) -> Version:
    desk.check()
    paths = desk.fetch_parts(row)
    with desk.database.reading() as sql:
        own = datasets.files(sql, row.id)
    return Version(row, pq.read_table(paths[0]), recordings.read(paths), own, rewriting.chain(desk, row))


def _find(desk: Desk, versions: Sequence[Version], wanted: str) -> Gone:
    """The rows of the key, those about the same bytes, and the notes that no other row has."""
    named: dict[str, set[int]] = {}
    heard: set[str] = set()
    for version in versions:
        is_wanted = rewriting.is_wanted(desk, version.row.name, wanted)
        found = [track for track in version.tracks if is_wanted(track.key)]
        named[version.row.id] = {track.number for track in found}
        heard |= {track.upload for track in found if track.upload}
    for version in versions:
        named[version.row.id] |= {track.number for track in version.tracks if track.upload in heard}
    taken: set[str] = set()
    kept: set[str] = set()
    for version in versions:
        for number, reference in enumerate(version.references):
            if reference is not None:
                (taken if number in named[version.row.id] else kept).add(reference)
    return Gone(named, heard | (taken - kept))


def _refuse_held(version: Version, gone: Gone) -> None:
    """A version of another name is not ours to change, and from its files this one's next version would be made."""
    for other, files in version.chain:
        if other.name != version.row.name and any(file.sha256 in gone.files for file in files):
            named, held = f"{version.row.name}@{version.row.version}", f"{other.name}@{other.version}"
            said = f"{named} adds to {held}, which holds the recording: erase it in {other.name} first, then retry."
            raise JobFailed(said, code="held_by_base")


def _loses(version: Version, gone: Gone) -> bool:
    return bool(gone.rows[version.row.id]) or any(file.sha256 in gone.files for file in version.own)


def _change(desk: Desk, version: Version, gone: Gone) -> Change:
    row, lost = version.row, gone.rows[version.row.id]
    kept = [track.number for track in version.tracks if track.number not in lost]
    tracks = _renumber([version.tracks[number] for number in kept])
    if all(track.fault is not None for track in tracks):
        raise rewriting.nothing_left(row)
    folder = desk.scratch / row.id
    folder.mkdir()
    table = version.table.take(kept)
    table = table.select([name for name in table.column_names if not name.startswith(PREFIX)])
    reports = [_report(said, track, tracks) for said, track in zip(_reports(desk, row, kept), tracks, strict=True)]
    told, new, left_out = _manifest(desk, version, kept, folder)
    own = [file for file in version.own if file.sha256 in gone.files or file.name in left_out]
    unnamed = _unnamed(version, told, gone)
    with Scratch(desk.scratch) as scratch:
        said = track_report.profile(table, row.profile["roles"], reports, unnamed, scratch)
    parts = rewriting.put(desk, row, list(audio_intake.write(folder, table, tracks, reports)))
    forgotten = {version.tracks[number].content for number in lost} - {"", *(track.content for track in tracks)}
    uploads = Uploads(
        own, new, is_whole=False, contents=[track.content for track in tracks], forgotten=forgotten,
        keys={version.tracks[number].key for number in lost},
    )  # fmt: skip
    return Change(row, parts, rewriting.profile(row, said), rewriting.identify(row, parts), len(lost), uploads)


def _renumber(tracks: Sequence[Track]) -> list[Track]:
    """The rows that are left, each with the first of them that sounds the same; their keys are what they were."""
    firsts: dict[int, int] = {}
    for place, track in enumerate(tracks):
        if track.same_as is not None:
            firsts.setdefault(track.same_as, place)
    return [
        replace(track, number=place, same_as=None if track.same_as is None else firsts[track.same_as])
        for place, track in enumerate(tracks)
    ]


def _reports(desk: Desk, row: Row[Any], kept: Sequence[int]) -> list[Json]:
    (part,) = [part for part in row.parts if part["name"] == REPORTS]
    lines = desk.get(part["key"], sha256=part["sha256"]).decode().split("\n")
    return [json.loads(lines[number]) for number in kept]


def _report(said: Json, track: Track, tracks: Sequence[Track]) -> Json:
    same = None if track.same_as in (None, track.number) else tracks[track.same_as or 0].key
    flags = [flag for flag in said["flags"] if flag != "duplicate"] + (["duplicate"] if same else [])
    return {**said, "row": track.number, "flags": flags, "duplicate_of": same}


def _manifest(
    desk: Desk, version: Version, kept: Sequence[int], folder: Path
) -> tuple[pa.Table | None, list[Json], set[str]]:
    """The manifest of what is left, as it is stored, and the names of the files that it takes the place of.

    Nothing of a version without one: its rows are the files that are there.
    """
    ours = [name for name in version.table.column_names if not name.startswith(PREFIX)]
    table = version.table.select(ours)
    if version.chain:
        sorted_ = audio_intake.sort([files for _, files in version.chain])
        if not sorted_.manifests:
            return None, [], set()
        if version.row.profile["roles"]["drop"]:
            files = [ingest.UploadedFile(name, desk.fetch_upload(file)) for file, name in sorted_.manifests]
            columns = {role: name for role, name in audio_intake.named(version.row).items() if role != "drop"}
            (folder / "whole").mkdir()
            read = ingest.run(files, columns=columns, out_dir=folder / "whole", progress=desk.report_rows)
            table = pq.read_table(read.paths[0])
    left = table.take(kept)
    pyarrow.csv.write_csv(left, folder / REMAINING)
    own = manifest.sort([file.name for file in version.own]).manifest
    return left, [rewriting.put_upload(desk, version.row, folder / REMAINING)], set() if own is None else {own}


def _unnamed(version: Version, told: pa.Table | None, gone: Gone) -> list[str]:
    """The recordings that are left and that no row is about."""
    if told is None or not version.chain:
        return []
    by_name: Mapping[str, str] = {file.name: file.sha256 for _, files in version.chain for file in files}
    names = audio_intake.sort([files for _, files in version.chain]).names
    names = replace(names, audio=[name for name in names.audio if by_name[name] not in gone.files])
    entries = manifest.match(told, names, version.row.profile["roles"], id=version.row.columns.get("id"))
    return manifest.unnamed(entries, names)
