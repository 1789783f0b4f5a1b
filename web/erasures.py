"""/v1/erasures: decide one, look at them, fetch the signed receipt."""

from typing import Any

from sqlalchemy import Row

from shared import erasures, receipts
from shared.erasures import Wanted
from shared.errors import NotAllowedNow
from shared.jobs import FAILED
from shared.keys import ADMIN, READ
from shared.queue import LIGHT
from web import erasure_schemas, responses
from web.api import Answer, Call, route
from web.erasure_requests import NewErasure
from web.requests import Page

Json = dict[str, Any]


@route("POST", "/v1/erasures", scope=ADMIN, body=NewErasure, answer=erasure_schemas.Erasure, status=202,
       errors=(409, 429), submits=True)  # fmt: skip
def create(call: Call) -> Answer:
    """Decide an erasure: a dataset is gone from here on, and a job destroys what there is and was made of it."""
    body: NewErasure = call.body
    call.services.quotas.take(call.sql, call.caller.tenant)
    wanted = Wanted(
        tenant=call.caller.tenant, key=call.caller.key_id, dataset=body.subject.dataset,
        listener=body.subject.listener, track=body.subject.track, models=body.models,
        pepper=call.services.settings.pepper,
    )  # fmt: skip
    row = erasures.decide(call.sql, wanted)
    return Answer(_erasure(row), 202, {"Location": f"/v1/erasures/{row.id}"}, ring=LIGHT)


@route("GET", "/v1/erasures", scope=READ, query=Page, answer=erasure_schemas.ErasureList)
def index(call: Call) -> Answer:
    """The newest erasures first."""
    page: Page = call.query
    rows = erasures.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor)
    return Answer(responses.page([_erasure(row) for row in rows], limit=page.limit))


@route("GET", "/v1/erasures/signing-key", scope=READ, answer=erasure_schemas.SigningKey, opens=False, is_slow=True)
def signing_key(call: Call) -> Answer:
    """The public key by which receipts are verified: one for all tenants, for as long as the key store is kept."""
    return Answer(_key(call))


@route("GET", "/v1/erasures/<erasure_id>", scope=READ, answer=erasure_schemas.Erasure, errors=(404,))
def show(call: Call, erasure_id: str) -> Answer:
    """One erasure, and how far it is."""
    return Answer(_erasure(erasures.find(call.sql, call.caller.tenant, erasure_id)))


@route("GET", "/v1/erasures/<erasure_id>/receipt", scope=READ, answer=erasure_schemas.SignedReceipt, errors=(404, 409),
       opens=False, is_slow=True)  # fmt: skip
def receipt(call: Call, erasure_id: str) -> Answer:
    """What was done, to which file, and what remains, signed by the service."""
    with call.database.reading() as sql:
        row = erasures.find(sql, call.caller.tenant, erasure_id)
    if row.state != erasures.DONE:
        said = f"The erasure is {_state(row)}, not done: wait for its job {row.job}, or retry that if it has failed."
        raise NotAllowedNow(said, code="erasure_not_done")
    return Answer({"receipt": row.receipt, "signature": row.signature, **_key(call)})


def _key(call: Call) -> Json:
    public = receipts.public_key(call.services.storage.open_keys().store)
    return {"algorithm": receipts.ALGORITHM, "public_key": public, "key_id": receipts.identify(public)}


def _state(row: Row[Any]) -> str:
    return FAILED if row.state == erasures.DECIDED and row.job_state == FAILED else str(row.state)


def _erasure(row: Row[Any]) -> Json:
    address = f"/v1/erasures/{row.id}"
    return {
        "id": row.id,
        "subject": {"kind": row.kind, "dataset": row.dataset, "version": row.version, "pseudonym": row.pseudonym},
        "models": row.models,
        "state": _state(row),
        "key": row.key,
        "job": row.job,
        "error": row.job_error,
        "created_at": responses.moment(row.created_at),
        "done_at": responses.moment(row.done_at),
        "links": {"self": address, "receipt": f"{address}/receipt", "job": f"/v1/jobs/{row.job}"},
    }
