"""The ingest of a dataset of pieces: each is read once, judged, compared, and listed with what is wrong with it.

Files are read in confined children (worker/symbolic_reading.py), by way of the quarantine; here are only their answers.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Row as SqlRow

from shared import datasets
from shared.errors import Fault, JobFailed
from worker import quarantine, symbolic_report
from worker.desk import Desk
from worker.ending import Ending
from worker.ingest import UploadedFile
from worker.lines import JsonLines
from worker.symbolic import alike, stored
from worker.symbolic.alike import Likeness
from worker.symbolic.answers import Reading
from worker.symbolic.stored import Row

Json = dict[str, Any]  # Any: JSON

REPORTS = "pieces.jsonl"


def run(desk: Desk, row: SqlRow[Any]) -> Ending:
    """Read every piece of a dataset and make its two tables, its profile and its reports."""
    desk.enter("fetching")
    # A later version's file takes the place of one of the same name.
    uploads = {file.name: file for file in desk.uploads(row)}
    files = [UploadedFile(name, desk.fetch_upload(file)) for name, file in uploads.items()]
    desk.enter("reading")
    rows = _compared(quarantine.read_pieces(desk, files, [file.sha256 for file in uploads.values()]))
    profile = report(desk, rows, desk.scratch)
    if not profile["symbolic"]["usable"]:
        raise _unusable(profile["symbolic"])
    desk.enter("storing")
    parts = desk.put_parts(row, write(desk.scratch, rows))

    def record(sql: Connection) -> Json:
        datasets.mark_ready(sql, row.id, parts=parts, profile=profile)
        return {
            "dataset": row.id, "rows": profile["rows"], "symbolic": profile["symbolic"], "warnings": profile["warnings"]
        }  # fmt: skip

    return Ending(record)


def _compared(readings: Sequence[Reading]) -> list[Row]:
    """Each with a key of its own, and with the first piece that is the same music."""
    counts = Counter(reading.key for reading in readings)
    return compare(
        [
            Row(
                reading.key if counts[reading.key] == 1 else f"{reading.key}#row{place}",
                reading.file, reading.part, reading.piece, reading.fault, Likeness(),
            )
            for place, reading in enumerate(readings)
        ]
    )  # fmt: skip


def compare(rows: Sequence[Row]) -> list[Row]:
    """Each with the first piece that is the same music."""
    likenesses = alike.find([row.piece for row in rows])
    return [row._replace(likeness=likeness) for row, likeness in zip(rows, likenesses, strict=True)]


def report(desk: Desk, rows: Sequence[Row], folder: Path) -> Json:
    """Write the report of each piece into a folder, and return the profile of all."""
    keys, profile = [row.key for row in rows], symbolic_report.Profile()
    with JsonLines(folder / REPORTS) as lines:
        for number, row in enumerate(rows):
            desk.check()
            said = symbolic_report.report(number, row, keys)
            profile.take(said)
            lines.write(json.dumps(said, ensure_ascii=False, allow_nan=False))
    return profile.as_json()


def _unusable(symbolic: Json) -> JobFailed:
    faults = [
        Fault(each["detail"], file=each["file"], row=each["row"], code=each["code"]) for each in symbolic["faults"]
    ]
    said = f"No piece can be used. {faults[0].file}: {faults[0].message}."
    return JobFailed(said, code="dataset_rejected", faults=faults, faults_total=symbolic["faults_total"])


def write(folder: Path, rows: Sequence[Row]) -> Iterator[Path]:
    """Write the tables; yields their paths, and those of the reports, which are there."""
    yield from stored.write(folder, rows)
    yield folder / REPORTS
    yield (folder / REPORTS).with_suffix(".index")
