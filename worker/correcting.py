"""The ingest of a corrected version: the table of an audited one in which the labels that were found wrong are others.

Needs no TensorFlow. What a client uploads under another name is read as ever; this is made of what was read before.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row

from shared import audits, datasets, job_list
from shared.audits import Label
from shared.errors import JobFailed, NotAllowedNow
from worker import ingest, recordings, relabelling, tables, track_report
from worker.audio_intake import REPORTS, TABLE
from worker.desk import Desk, erased
from worker.ending import Ending
from worker.formats import canonical
from worker.formats.scratch import Scratch
from worker.manifest import CORRECTED, PREFIX

# The one upload of a corrected table, by which another version may add rows to it.
UPLOAD = "corrected.parquet"
# Of recordings this is said of files, which are those of the audited version.
OF_FILES = "tracks_unusable"

Json = dict[str, Any]


@dataclass(frozen=True)
class Correction:
    """What is corrected: the audit, the version that it was of, and the new labels by row."""

    audit: Row[Any]
    source: Row[Any]
    labels: dict[int, Label]
    # Versions of the name that came after the audited one.
    newer: list[int]


def run(desk: Desk, row: Row[Any]) -> Ending:
    """Make the corrected version. Raises JobFailed (decisions_changed, dataset_erased)."""
    desk.enter("fetching")
    correction = _open(desk, row)
    paths = desk.fetch_parts(correction.source)
    desk.enter("correcting")
    target = correction.audit.result["target"]
    path, changed = _correct(desk, paths, target, correction.labels)
    desk.enter("reading")
    made = (_of_recordings if row.format == "audio" else _of_table)(desk, row, correction, path)
    desk.enter("storing")
    return _publish(desk, row, correction, made, changed)


@dataclass(frozen=True)
class _Made:
    """The parts and the upload of the new version, its profile, and the contents of its recordings."""

    parts: list[Path]
    upload: Path
    profile: Json
    contents: list[str]


def _open(desk: Desk, row: Row[Any]) -> Correction:
    with desk.database.reading() as sql:
        audit = audits.find(sql, desk.claim.tenant, desk.claim.params["audit"])
        labels = audits.corrections(sql, audit.id)
        wanted = job_list.find(sql, desk.claim.tenant, desk.claim.job_id).fingerprint
        same = audits.fingerprint(sql, desk.claim.tenant, audit.id, labels)
        try:
            source = audits.find_source(sql, audit)
        except NotAllowedNow as cause:
            raise erased() from cause
        newer = audits.newer_versions(sql, source, before=row.version)
    if same != wanted:
        said = "Decisions were changed between the wish to apply them and its turn: apply them again."
        raise JobFailed(said, code="decisions_changed")
    return Correction(audit, source, labels, newer)


def _correct(desk: Desk, paths: Sequence[Path], target: Json, labels: Mapping[int, Label]) -> tuple[Path, int]:
    """The table with other labels, and how many rows are not as they were."""
    path, changed = desk.scratch / UPLOAD, 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal changed
        first = 0
        for batch in tables.batches(paths, list(tables.schema(paths))):
            corrected, count = relabelling.relabel(batch, first, target, labels)
            changed, first = changed + count, first + batch.num_rows
            desk.check()
            yield corrected

    for _ in canonical.write(path, pq.read_schema(paths[0]).remove_metadata(), batches()):
        pass
    return path, changed


def _of_table(desk: Desk, row: Row[Any], correction: Correction, path: Path) -> _Made:
    folder = desk.scratch / "read"
    folder.mkdir()
    read = ingest.run(
        [ingest.UploadedFile(UPLOAD, path)], columns=row.columns, out_dir=folder, progress=desk.report_rows
    )
    return _Made(read.paths, path, read.profile, [])


def _of_recordings(desk: Desk, row: Row[Any], correction: Correction, path: Path) -> _Made:
    """What was heard is as it was: the reports are those of the audited version, and so is what is said of files."""
    parts = {part["name"]: part for part in correction.source.parts}
    names = (REPORTS, str(Path(REPORTS).with_suffix(".index")))
    folder = desk.scratch / "read"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(desk.get(parts[name]["key"], sha256=parts[name]["sha256"]))
    path.rename(folder / TABLE)
    table, before = pq.read_table(folder / TABLE), correction.source.profile
    reports = [json.loads(line) for line in (folder / REPORTS).read_text().splitlines()]
    with Scratch(desk.scratch) as scratch:
        said = track_report.profile(table, before["roles"], reports, [], scratch)
    warnings = [each for each in said["warnings"] if each["code"] != OF_FILES]
    warnings += [each for each in before["warnings"] if each["code"] == OF_FILES]
    manifest = folder / CORRECTED
    ours = [name for name in table.column_names if not name.startswith(PREFIX)]
    pyarrow.csv.write_csv(table.select(ours), manifest)
    contents = [track.content for track in recordings.read([folder / TABLE])]
    profile = {**said, "audio": before["audio"], "warnings": warnings}
    return _Made([folder / TABLE, *(folder / name for name in names)], manifest, profile, contents)


def _publish(desk: Desk, row: Row[Any], correction: Correction, made: _Made, changed: int) -> Ending:
    source = correction.source
    corrected = {
        "audit": correction.audit.id, "dataset": f"{source.name}@{source.version}", "sha256": source.sha256,
        "labels_changed": changed,
    }  # fmt: skip
    warnings = [*made.profile["warnings"], *_warnings(correction)]
    profile = {**made.profile, "corrected": corrected, "warnings": warnings}
    parts = desk.put_parts(row, made.parts)
    (upload,) = desk.put_parts(row, [made.upload])[:1]

    def record(sql: Connection) -> Json:
        # What was erased meanwhile must not live on in another version.
        datasets.demand_unchanged(sql, source)
        datasets.name_file(sql, row.tenant, row.id, upload)
        datasets.mark_ready(sql, row.id, parts=parts, profile=profile, recordings=made.contents)
        return {"dataset": row.id, "rows": profile["rows"], "corrected": corrected, "warnings": warnings}

    return Ending(record)


def _warnings(correction: Correction) -> list[Json]:
    if not correction.newer:
        return []
    source = correction.source
    named = ", ".join(f"{source.name}@{version}" for version in correction.newer[:10])
    said = f"{named} came after the audited {source.name}@{source.version}: what they changed is not in this version."
    return [{"code": "newer_versions", "detail": said}]
