"""/v1/encryption-key: the key that wraps the keys of a tenant's files and cells, and a newer one in its place."""

from shared import rotations
from shared.job_list import whole
from shared.keys import ADMIN, READ
from shared.queue import LIGHT
from shared.sealing import rotating
from web import responses, schemas, tenant_schemas
from web.api import Answer, Call, route


@route("GET", "/v1/encryption-key", scope=READ, answer=tenant_schemas.EncryptionKey, opens=False, is_slow=True)
def show(call: Call) -> Answer:
    """Which key it is; the key itself leaves the key store for nobody."""
    newest = rotating.newest(call.services.storage.open_keys(), call.caller.tenant)
    return Answer({
        "id": None if newest is None else newest.id,
        "generation": 0 if newest is None else newest.generation,
        "created_at": responses.moment(None if newest is None else newest.created_at),
        "algorithm": "AES-256-GCM",
    })  # fmt: skip


@route("POST", "/v1/encryption-key/rotate", scope=ADMIN, answer=schemas.Job, status=202, errors=(409, 429),
       submits=True)  # fmt: skip
def rotate(call: Call) -> Answer:
    """Have a new key made: a job wraps everything with it, and destroys the old one. No file is touched."""
    call.services.quotas.take(call.sql, call.caller.tenant)
    row = rotations.submit(call.sql, call.caller.tenant)
    return Answer(responses.job(whole(call.sql, row)), 202, {"Location": f"/v1/jobs/{row.id}"}, ring=LIGHT)
