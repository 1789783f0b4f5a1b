"""The ingest action: from uploads to the canonical table, or to those of tracks, of pieces, or of interactions.

Needs no TensorFlow, so an upload never waits for one.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets
from shared.containment import tier
from worker import audio_intake, correcting, interactions_intake, quarantine, symbolic_intake
from worker import ingest as tables
from worker.desk import Desk
from worker.ending import Ending

Json = dict[str, Any]


def ingest(desk: Desk) -> Ending:
    """Turn a dataset's uploads into its table and its profile; the result tells the tier that held the decoders."""
    row = desk.dataset_rows()[0]
    if "audit" in desk.claim.params:
        return correcting.run(desk, row)
    ending = _read(desk, row)
    contained = tier.measured().tier
    return replace(ending, record=lambda sql: {**ending.record(sql), "decoded_within": contained})


def _read(desk: Desk, row: Row[Any]) -> Ending:
    if row.format == "audio":
        return audio_intake.run(desk, row)
    if row.format == "symbolic":
        return symbolic_intake.run(desk, row)
    if row.format == datasets.INTERACTIONS:
        return interactions_intake.run(desk, row)
    desk.enter("fetching")
    bases = desk.bases(row)
    uploads = desk.uploads(row)
    with quarantine.watching(desk, uploads):
        files = [tables.UploadedFile(file.name, desk.fetch_upload(file)) for file in uploads]
        desk.enter("reading")
        ingested = tables.run(files, columns=row.columns, out_dir=desk.scratch, progress=desk.report_rows)
    desk.enter("storing")
    parts = desk.put_parts(row, ingested.paths)

    def record(sql: Connection) -> Json:
        # A row that was erased meanwhile must not live on in another version.
        for base in bases:
            datasets.demand_unchanged(sql, base)
        datasets.mark_ready(sql, row.id, parts=parts, profile=ingested.profile)
        return {"dataset": row.id, "rows": ingested.profile["rows"], "warnings": ingested.profile["warnings"]}

    return Ending(record)
