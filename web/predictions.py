"""What a scoring wrote, as it lies in storage: JSON by pages, CSV, Parquet, files, and the rows that failed."""

from typing import Any

from flask import request
from sqlalchemy import Row

from shared import job_list
from shared.errors import NotAllowedNow, NotFound
from shared.keys import READ
from web import lines_page, schemas, terms
from web.api import Answer, Call, route
from web.lines_page import LinesPlace
from web.requests import RowsPage

CSV, PARQUET, ZIP = "text/csv", "application/vnd.apache.parquet", "application/zip"
# The actions that write what can be fetched here.
HAVE_OUTPUTS = ("score", "generate", "export")
FILES = {CSV: "predictions.csv", PARQUET: "predictions.parquet"}


@route("GET", "/v1/jobs/<job_id>/predictions", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404, 409),
       media_types=("application/json", CSV, PARQUET), opens=False, is_slow=True)  # fmt: skip
def predictions(call: Call, job_id: str) -> Answer:
    """The predictions: a page of JSON, or the whole file by `Accept`."""
    wanted = request.accept_mimetypes.best_match(["application/json", CSV, PARQUET], default="application/json")
    if wanted == "application/json":
        return _page(call, job_id, "predictions")
    file = _output(call, job_id, FILES[wanted])
    named = f'attachment; filename="{job_id}.{FILES[wanted].partition(".")[2]}"'
    headers = {"Content-Disposition": named, **_rights(call, job_id)}
    if wanted == CSV:
        headers["X-Formula-Escaped"] = "true"
    return Answer(call.services.storage.stream(file.key), headers=headers, media_type=wanted)


@route("GET", "/v1/jobs/<job_id>/predictions/errors", scope=READ, query=RowsPage, answer=schemas.Rows,
       errors=(404, 409), opens=False, is_slow=True)  # fmt: skip
def prediction_errors(call: Call, job_id: str) -> Answer:
    """The rows that could not be scored, each with its reason."""
    return _page(call, job_id, "errors")


@route("GET", "/v1/jobs/<job_id>/files", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404, 409),
       media_types=("application/json", ZIP), opens=False, is_slow=True)  # fmt: skip
def files(call: Call, job_id: str) -> Answer:
    """The files that a scoring made for single tracks: a list of them, or by `Accept` all in one archive."""
    wanted = request.accept_mimetypes.best_match(["application/json", ZIP], default="application/json")
    if wanted == "application/json":
        return _page(call, job_id, "files")
    archive = _output(call, job_id, "files.zip")
    headers = {"Content-Disposition": f'attachment; filename="{job_id}.zip"', **_rights(call, job_id)}
    return Answer(call.services.storage.stream(archive.key), headers=headers, media_type=ZIP)


@route("GET", "/v1/jobs/<job_id>/files/<int:number>", scope=READ, errors=(404, 409),
       media_types=("application/octet-stream",), opens=False, is_slow=True)  # fmt: skip
def file(call: Call, job_id: str, number: int) -> Answer:
    """One of these files, by its number in the list."""
    place = _lines(call, job_id, "files")
    if number >= place.total:
        raise NotFound("There is no such file.")
    (found,) = lines_page.read(call.services.storage, place, RowsPage(cursor=number, limit=1))["data"]
    archive = _output(call, job_id, "files.zip")
    content = call.services.storage.stream(archive.key, start=found["offset"], length=found["size_bytes"])
    headers = {"Content-Disposition": f'attachment; filename="{found["name"]}"', **_rights(call, job_id)}
    return Answer(content, headers=headers, media_type=found["media_type"])


def _page(call: Call, job_id: str, name: str) -> Answer:
    said = lines_page.read(call.services.storage, _lines(call, job_id, name), call.query)
    return Answer(said, headers=_rights(call, job_id))


def _rights(call: Call, job_id: str) -> dict[str, str]:
    """On what terms it may be used, in a line; a job from before the ledger has none."""
    with call.database.reading() as sql:
        job = job_list.find(sql, call.caller.tenant, job_id)
    return terms.of_job(job)


def _lines(call: Call, job_id: str, name: str) -> LinesPlace:
    lines, index = (_output(call, job_id, f"{name}.{suffix}") for suffix in ("jsonl", "index"))
    return LinesPlace(lines.key, index.key, index.size_bytes, lines.rows)


def _output(call: Call, job_id: str, name: str) -> Row[Any]:
    with call.database.reading() as sql:
        job = job_list.find(sql, call.caller.tenant, job_id)
        file = job_list.find_output(sql, job_id, name)
    if file is not None:
        return file
    if job.action not in HAVE_OUTPUTS:
        raise NotFound(f"A {job.action} job has no predictions.")
    if job.state != "succeeded":
        raise NotAllowedNow(f"The job is {job.state}: it has no predictions yet.", code="no_predictions_yet")
    with call.database.reading() as sql:
        job_list.demand_outputs(sql, job)
    raise NotFound(f"The job was not asked for {name}: name its format in params.formats.")
