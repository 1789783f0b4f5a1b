"""The chunks of a scoring: who is at which rows."""

from typing import Any

from sqlalchemy import Row

from shared import chunks, job_list
from shared.keys import READ
from web import responses, schemas
from web.api import Answer, Call, route
from web.requests import RowsPage


@route("GET", "/v1/jobs/<job_id>/chunks", scope=READ, query=RowsPage, answer=schemas.Rows, errors=(404,))
def show(call: Call, job_id: str) -> Answer:
    """The chunks of a scoring that runs or was cancelled; of one that has succeeded there are none any more."""
    page: RowsPage = call.query
    job_list.find(call.sql, call.caller.tenant, job_id)
    rows = chunks.page(call.sql, job_id, first=page.cursor, limit=page.limit + 1)
    after = rows[page.limit].first if len(rows) > page.limit else None
    total = chunks.tally(call.sql, job_id).total_chunks
    shown = [_shown(row) for row in rows[: page.limit]]
    return Answer({"data": shown, "next_cursor": None if after is None else str(after), "total": total})


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {
        "first": row.first,
        "rows": row.rows,
        "state": row.state,
        "worker": row.worker,
        "losses": row.losses,
        "error": row.error,
        "started_at": responses.moment(row.started_at),
        "ended_at": responses.moment(row.ended_at),
    }
