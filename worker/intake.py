"""The ingest action: from uploads to the canonical table, or to those of tracks, of pieces, or of interactions.

Needs no TensorFlow, so an upload never waits for one.
"""

from typing import Any

from sqlalchemy import Connection

from shared import datasets
from worker import audio_intake, correcting, interactions_intake, symbolic_intake
from worker import ingest as tables
from worker.desk import Desk
from worker.ending import Ending

Json = dict[str, Any]


def ingest(desk: Desk) -> Ending:
    """Turn a dataset's uploads into its table and its profile."""
    row = desk.dataset_rows()[0]
    if "audit" in desk.claim.params:
        return correcting.run(desk, row)
    if row.format == "audio":
        return audio_intake.run(desk, row)
    if row.format == "symbolic":
        return symbolic_intake.run(desk, row)
    if row.format == datasets.INTERACTIONS:
        return interactions_intake.run(desk, row)
    desk.enter("fetching")
    files = [tables.UploadedFile(file.name, desk.fetch_upload(file)) for file in desk.uploads(row)]
    desk.enter("reading")
    ingested = tables.run(files, columns=row.columns, out_dir=desk.scratch, progress=desk.report_rows)
    desk.enter("storing")
    parts = desk.put_parts(row, ingested.paths)

    def record(sql: Connection) -> Json:
        datasets.mark_ready(sql, row.id, parts=parts, profile=ingested.profile)
        return {"dataset": row.id, "rows": ingested.profile["rows"], "warnings": ingested.profile["warnings"]}

    return Ending(record)
