"""/v1/audit-log: what was changed by which key, and what was refused. Nothing here changes it."""

from typing import Any

from sqlalchemy import Row

from shared import audit_log
from shared.errors import InvalidRequest
from shared.keys import ADMIN
from web import responses, tenant_schemas
from web.api import Answer, Call, route
from web.tenant_requests import AuditLogPage
from web.usage import read_time


@route("GET", "/v1/audit-log", scope=ADMIN, query=AuditLogPage, answer=tenant_schemas.AuditLog)
def index(call: Call) -> Answer:
    """The newest rows first."""
    page: AuditLogPage = call.query
    since, until = read_time(page.since, name="from"), read_time(page.until, name="to")
    if since is not None and until is not None and since >= until:
        raise InvalidRequest("from: expected a time before to; give the earlier one first", code="invalid_parameter")
    equal = {name: value for name in ("key", "action", "object") if (value := getattr(page, name)) is not None}
    rows = audit_log.page(
        call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor, equal=equal, since=since, until=until
    )
    shown = rows[: page.limit]
    after = str(shown[-1].seq) if len(rows) > page.limit else None
    return Answer({"data": [_row(row) for row in shown], "next_cursor": after})


def _row(row: Row[Any]) -> dict[str, Any]:
    same = ("seq", "key", "action", "object", "made", "status", "previous", "hash")
    return {**{name: row._mapping[name] for name in same}, "at": responses.moment(row.at), "request_id": row.request}
