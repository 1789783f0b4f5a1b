"""What each action does, step by step; the steps themselves are elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets
from worker import ingest
from worker.desk import Desk

Json = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """What an attempt publishes: rows written by `record` in the finishing transaction, and output files."""

    record: Callable[[Connection], Json]
    files: list[Json] = field(default_factory=list)


def read_dataset(desk: Desk) -> Ending:
    """Turn a dataset's uploads into the canonical table and its profile."""
    row = desk.dataset_rows()[0]
    desk.enter("fetching")
    files = [ingest.UploadedFile(file.name, desk.fetch_upload(file)) for file in desk.uploads(row)]
    desk.enter("reading")
    ingested = ingest.run(files, columns=row.columns, out_dir=desk.scratch, progress=desk.report_rows)
    desk.enter("storing")
    parts = [desk.put_part(row, path) for path in ingested.paths]

    def record(sql: Connection) -> Json:
        datasets.mark_ready(sql, row.id, parts=parts, profile=ingested.profile)
        return {"dataset": row.id, "rows": ingested.profile["rows"], "warnings": ingested.profile["warnings"]}

    return Ending(record)


def _fetch_tables(desk: Desk, rows: list[Row[Any]]) -> list[Any]:
    return [desk.fetch(part["key"], name=f"{row.id}-{part['name']}", sha256=part["sha256"])
            for row in rows for part in row.parts]  # fmt: skip


ACTIONS: dict[str, Callable[[Desk], Ending]] = {"ingest": read_dataset}
