"""/v1/workers: who is there, what each does, since when, and when it last gave a sign of life."""

from shared import workers
from shared.keys import READ
from shared.tenancy import EVERYONE
from web import responses, schemas
from web.api import Answer, Call, route


@route("GET", "/v1/workers", scope=READ, answer=schemas.WorkerList)
def index(call: Call) -> Answer:
    """Every worker of the last days; another tenant's job is only `busy`."""
    lease_s = call.services.settings.lease_s
    # That somebody works for another tenant is told, and nothing of what: of its rows the names of workers are read.
    with call.services.database.of(EVERYONE).reading() as sql:
        busy = workers.busy(sql)
    rows = workers.every(call.sql, call.caller.tenant)
    shown = [responses.worker(row, is_busy=row.name in busy, lease_s=lease_s) for row in rows]
    return Answer({"data": shown, "next_cursor": None})
