"""What a scoring wrote, streamed as it lies in storage: pages of JSON, CSV, Parquet, and the rows that failed."""

import json
from typing import Any

from flask import request
from sqlalchemy import Row

from shared import job_list
from shared.errors import NotAllowedNow, NotFound
from shared.keys import READ
from shared.storage import Storage
from web import schemas
from web.api import Answer, Call, route
from web.requests import RowsPage

# The index has the byte offset of every hundredth row, then the size of the file; eight bytes each, little-endian.
ROWS_A_MARK = 100
MARK_BYTES = 8

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
FILES = {CSV: "predictions.csv", PARQUET: "predictions.parquet"}


@route("GET", "/v1/jobs/<job_id>/predictions", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404, 409),
       media_types=("application/json", CSV, PARQUET), opens=False, is_slow=True)  # fmt: skip
def predictions(call: Call, job_id: str) -> Answer:
    """The predictions: a page of JSON, or the whole file by `Accept`."""
    wanted = request.accept_mimetypes.best_match(["application/json", CSV, PARQUET], default="application/json")
    if wanted == "application/json":
        return _page(call, job_id, "predictions")
    file = _output(call, job_id, FILES[wanted])
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.{FILES[wanted].partition(".")[2]}"'}
    if wanted == CSV:
        headers["X-Formula-Escaped"] = "true"
    return Answer(call.services.storage.stream(file.key), headers=headers, media_type=wanted)


@route("GET", "/v1/jobs/<job_id>/predictions/errors", scope=READ, query=RowsPage, answer=schemas.Rows,
       errors=(404, 409), opens=False, is_slow=True)  # fmt: skip
def prediction_errors(call: Call, job_id: str) -> Answer:
    """The rows that could not be scored, each with its reason."""
    return _page(call, job_id, "errors")


def _page(call: Call, job_id: str, name: str) -> Answer:
    """Rows from the cursor on, cut out of the JSON Lines file by its index."""
    query: RowsPage = call.query
    lines, index = (_output(call, job_id, f"{name}.{suffix}") for suffix in ("jsonl", "index"))
    total = lines.rows
    if query.cursor >= total:
        return Answer({"data": [], "next_cursor": None, "total": total})
    upto = min(query.cursor + query.limit, total)
    first_mark = query.cursor // ROWS_A_MARK
    start, end = _span(call.services.storage, index, first_mark, -(-upto // ROWS_A_MARK))
    text = b"".join(call.services.storage.stream(lines.key, start=start, length=end - start))
    skipped = query.cursor - first_mark * ROWS_A_MARK
    rows: list[Any] = [json.loads(line) for line in text.splitlines()[skipped : skipped + upto - query.cursor]]
    return Answer({"data": rows, "next_cursor": str(upto) if upto < total else None, "total": total})


def _span(storage: Storage, index: Row[Any], first_mark: int, last_mark: int) -> tuple[int, int]:
    last_mark = min(last_mark, index.size_bytes // MARK_BYTES - 1)
    length = (last_mark - first_mark + 1) * MARK_BYTES
    marks = b"".join(storage.stream(index.key, start=first_mark * MARK_BYTES, length=length))
    return int.from_bytes(marks[:MARK_BYTES], "little"), int.from_bytes(marks[-MARK_BYTES:], "little")


def _output(call: Call, job_id: str, name: str) -> Row[Any]:
    with call.services.database.reading() as sql:
        job = job_list.find(sql, call.caller.tenant, job_id)
        file = job_list.find_output(sql, job_id, name)
    if file is not None:
        return file
    if job.action != "score":
        raise NotFound(f"A {job.action} job has no predictions.")
    if job.state != "succeeded":
        raise NotAllowedNow(f"The job is {job.state}: it has no predictions yet.", code="no_predictions_yet")
    raise NotFound(f"The job was not asked for {name}: name its format in params.formats.")
