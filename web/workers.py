"""/v1/workers: who is there, what each does, since when, and when it last gave a sign of life."""

from shared import workers
from shared.keys import READ
from web import responses, schemas
from web.api import Answer, Call, route


@route("GET", "/v1/workers", scope=READ, answer=schemas.WorkerList)
def index(call: Call) -> Answer:
    """Every worker of the last days; another tenant's job is only `busy`."""
    lease_s = call.services.settings.lease_s
    rows = workers.every(call.sql)
    shown = [responses.worker(row, tenant=call.caller.tenant, lease_s=lease_s) for row in rows]
    return Answer({"data": shown, "next_cursor": None})
