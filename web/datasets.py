"""/v1/datasets: open, upload, commit, look, erase."""

import base64
import binascii
import unicodedata

from flask import request

from shared import datasets, ids, jobs, keys, pseudonyms, quotas, rights, storage
from shared.errors import BadRequest, EtudeError, InvalidRequest, NotAllowedNow, NotFound, TooLarge
from shared.job_list import find as find_job
from shared.job_list import whole
from shared.keys import READ, SUBMIT
from shared.masking import keys as masking_keys
from shared.masking import rules
from shared.queue import LIGHT
from web import lines_page, masking, responses, schemas
from web.api import Answer, Call, route
from web.lines_page import LinesPlace
from web.received import Received
from web.requests import DatasetsPage, ListenerErasure, NewDataset, RowsPage

NAME_BYTES = 255


@route("POST", "/v1/datasets", scope=SUBMIT, body=NewDataset, answer=schemas.Dataset, status=201, errors=(409,))
def create(call: Call) -> Answer:
    """Open the next version of a dataset."""
    wanted: NewDataset = call.body
    roles = wanted.columns.model_dump(exclude_defaults=True)
    masking = None if wanted.masking is None else rules.as_json(wanted.masking)
    row = datasets.create(
        call.sql, call.caller.tenant, name=wanted.name, format=wanted.format, columns=roles, base=wanted.base,
        masking=masking,
    )  # fmt: skip
    if wanted.rights is not None:
        rights.append(call.sql, call.caller.tenant, row.id, wanted.rights.said, key=call.caller.key_id)
    return Answer(responses.dataset(row), 201, {"Location": f"/v1/datasets/{row.id}"})


@route("PUT", "/v1/datasets/<dataset_id>/files/<path:name>", scope=SUBMIT, status=204, errors=(404, 409, 411, 413),
       is_upload=True, is_slow=True)  # fmt: skip
def upload(call: Call, dataset_id: str, name: str) -> Answer:
    """Take the raw bytes of one file; `Content-Digest` is verified when it is given.

    Of what was sent, that is: what is hidden of it (`masking`, and the listeners of plays) is never written.
    """
    services, tenant = call.services, call.caller.tenant
    check_file_name(name)
    length = request.content_length or 0
    if length > services.settings.upload_bytes:
        raise TooLarge(f"A file may have {services.settings.upload_bytes:,} bytes.")
    if length == 0:
        raise BadRequest("The file is empty: send its bytes as the body.", code="upload_empty")
    with call.database.reading() as sql:
        row = datasets.find(sql, tenant, dataset_id)
        limit = quotas.of_tenant(sql, tenant, services.settings).stored_bytes
    with call.database.transaction() as sql:
        datasets.demand_open(sql, tenant, dataset_id)
        # Before the bytes travel; and once more when they are here.
        quotas.demand_storage(sql, tenant, limit, more_bytes=length - datasets.size_of(sql, dataset_id, name))
    key = storage.dataset_file(tenant, dataset_id, ids.new("file"))
    received = Received(request.stream, length, read_digest(request.headers.get("Content-Digest")))
    try:
        with masking.masked(services, row, name, received) as blocks:
            stored = services.storage.put(key, blocks)
        with call.database.transaction() as sql:
            # It may have come for an hour.
            keys.demand_living(sql, call.caller)
            more = stored.size_bytes - datasets.size_of(sql, dataset_id, name)
            quotas.demand_storage(sql, tenant, limit, more_bytes=more)
            replaced = datasets.add_file(sql, tenant, dataset_id, name=name, key=key, stored=stored)
            call.note(sql)
    except EtudeError:
        services.storage.delete(key)
        raise
    if replaced is not None:
        services.storage.delete(replaced)
    return Answer(status=204)


@route("POST", "/v1/datasets/<dataset_id>/commit", scope=SUBMIT, answer=schemas.Job, status=202,
       errors=(404, 409, 429), submits=True)  # fmt: skip
def commit(call: Call, dataset_id: str) -> Answer:
    """Close the dataset for files and read it: the answer is the ingest job."""
    call.services.quotas.take(call.sql, call.caller.tenant)
    job_id = datasets.begin_ingest(call.sql, call.caller.tenant, dataset_id)
    job = find_job(call.sql, call.caller.tenant, job_id)
    return Answer(responses.job(whole(call.sql, job)), 202, {"Location": f"/v1/jobs/{job_id}"}, ring=LIGHT)


@route("GET", "/v1/datasets", scope=READ, query=DatasetsPage, answer=schemas.DatasetList)
def index(call: Call) -> Answer:
    """The newest datasets first."""
    page: DatasetsPage = call.query
    rows = datasets.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor, name=page.name)
    return Answer(responses.page([responses.listed_dataset(row) for row in rows], limit=page.limit))


@route("GET", "/v1/datasets/<dataset_id>", scope=READ, answer=schemas.Dataset, errors=(404,))
def show(call: Call, dataset_id: str) -> Answer:
    """One dataset with its profile."""
    return Answer(responses.dataset(datasets.find(call.sql, call.caller.tenant, dataset_id)))


@route("GET", "/v1/datasets/<dataset_id>/tracks", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404, 409),
       opens=False, is_slow=True)  # fmt: skip
def tracks(call: Call, dataset_id: str) -> Answer:
    """What was heard of each track of a dataset of audio, and what is wrong with it."""
    return _reports(call, dataset_id, of="audio", name="tracks")


@route("GET", "/v1/datasets/<dataset_id>/pieces", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404, 409),
       opens=False, is_slow=True)  # fmt: skip
def pieces(call: Call, dataset_id: str) -> Answer:
    """What was read of each piece of a dataset of symbolic music, and what is wrong with it."""
    return _reports(call, dataset_id, of="symbolic", name="pieces")


def _reports(call: Call, dataset_id: str, *, of: str, name: str) -> Answer:
    """A page of what the ingest of this format has said of each row."""
    with call.database.reading() as sql:
        row = datasets.find(sql, call.caller.tenant, dataset_id)
    if row.format != of:
        raise NotFound(f"A dataset of format {row.format} has no {name}.")
    if row.state != datasets.READY:
        raise NotAllowedNow(f"The dataset is {row.state}, not ready.", code="dataset_not_ready")
    parts = {part["name"]: part for part in row.parts}
    lines, index = parts[f"{name}.jsonl"], parts[f"{name}.index"]
    place = LinesPlace(lines["key"], index["key"], index["size_bytes"], row.rows)
    return Answer(lines_page.read(call.services.storage, place, call.query))


@route("DELETE", "/v1/datasets/<dataset_id>", scope=SUBMIT, answer=schemas.Erased, errors=(404,), is_slow=True)
def erase(call: Call, dataset_id: str) -> Answer:
    """Erase the bytes, and say which models and predictions came from them."""
    row = datasets.find(call.sql, call.caller.tenant, dataset_id)
    said, files = datasets.erase(call.sql, call.caller.tenant, dataset_id)
    folder = storage.dataset_folder(call.caller.tenant, dataset_id)
    hashed_by = masking.orphaned_key(call.sql, call.services, row)
    return Answer(said, after=lambda: _delete(call, folder, files, hashed_by))


@route("POST", "/v1/datasets/<dataset_id>/erase", scope=SUBMIT, body=ListenerErasure, answer=schemas.Job, status=202,
       errors=(404, 409, 429), submits=True)  # fmt: skip
def erase_listener(call: Call, dataset_id: str) -> Answer:
    """Erase the events of a listener from every ready version of a dataset's name: the answer is the job."""
    wanted: ListenerErasure = call.body
    row = datasets.find(call.sql, call.caller.tenant, dataset_id)
    if row.format != datasets.INTERACTIONS:
        said = f"Listeners are erased from datasets of interactions, and this is one of format {row.format}."
        raise NotAllowedNow(said, code="not_interactions")
    if row.state != datasets.READY:
        raise NotAllowedNow(f"The dataset is {row.state}, not ready.", code="dataset_not_ready")
    call.services.quotas.take(call.sql, call.caller.tenant)
    # The id itself goes no further: rows of jobs are kept.
    user = pseudonyms.of(call.services.settings.pepper, call.caller.tenant, row.name, wanted.user)
    params = {"user": user, "retrain": wanted.retrain}
    new = jobs.NewJob(tenant=call.caller.tenant, action="erase", queue=LIGHT, datasets=[row.id], params=params)
    job = jobs.submit(call.sql, new)
    return Answer(responses.job(whole(call.sql, job)), 202, {"Location": f"/v1/jobs/{job.id}"}, ring=LIGHT)


def _delete(call: Call, folder: str, files: list[str], hashed_by: str | None) -> None:
    call.services.storage.delete_folder(folder)
    if hashed_by is not None:
        masking_keys.destroy(call.services.storage, hashed_by)
    for key in files:
        call.services.storage.delete(key)


def check_file_name(name: str) -> None:
    """Refuse names that would mislead a reader; folders may stand in them, and no name is ever used as a path."""
    is_safe = (
        0 < len(name.encode("utf-8", "replace")) <= NAME_BYTES
        and name == unicodedata.normalize("NFC", name)
        and name.isprintable()
        and "\\" not in name
        and not any(part in ("", ".", "..") for part in name.split("/"))
        and not any(unicodedata.bidirectional(sign) in ("RLO", "LRO", "RLE", "LRE", "PDF") for sign in name)
    )
    if not is_safe:
        said = "The file name must be 1 to 255 bytes of plain, printable text, with / between folders and no .. in it."
        raise InvalidRequest(said, code="file_name_invalid")


def read_digest(header: str | None) -> str | None:
    """The SHA-256 of a Content-Digest header (RFC 9530) in hex, or None."""
    if header is None:
        return None
    for part in header.split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm.lower() == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                return base64.b64decode(value[1:-1], validate=True).hex()
            except binascii.Error:
                break
    raise BadRequest("Content-Digest: expected sha-256=:<base64>:.", code="digest_invalid")
