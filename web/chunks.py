"""The chunks of a scoring: who is at which rows, and what each worker has done."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from shared import chunks, job_list
from shared.keys import READ
from web import responses, schemas
from web.api import Answer, Call, route
from web.requests import RowsPage

Json = dict[str, Any]


class Place(schemas.Open):
    """The rows that a worker is at."""

    first: int
    rows: int
    since: str


class Share(schemas.Open):
    """What one worker has done of a scoring."""

    worker: str
    rows: int
    chunks: int
    took_s: float
    failed: int
    at: Place | None


class ChunkPage(schemas.Rows):
    workers: list[Share]


@route("GET", "/v1/jobs/<job_id>/chunks", scope=READ, query=RowsPage, answer=ChunkPage, errors=(404,))
def show(call: Call, job_id: str) -> Answer:
    """The chunks of a scoring that runs or was cancelled; of one that has succeeded there are none any more."""
    page: RowsPage = call.query
    job_list.find(call.sql, call.caller.tenant, job_id)
    rows = chunks.page(call.sql, job_id, first=page.cursor, limit=page.limit + 1)
    after = rows[page.limit].first if len(rows) > page.limit else None
    shares = chunks.shares(call.sql, job_id)
    return Answer({
        "data": [_shown(row) for row in rows[: page.limit]],
        "next_cursor": None if after is None else str(after),
        "total": sum(share.total for share in shares),
        "workers": _workers(call.sql, job_id, shares),
    })  # fmt: skip


def _workers(sql: Connection, job_id: str, shares: Sequence[Row[Any]]) -> list[Json]:
    # Of a worker whose guest's work was given up and not yet reaped there are two: it is at the later one.
    places = {row.worker: row for row in chunks.present(sql, job_id)}
    return [_share(share, places.get(share.worker)) for share in shares if share.worker is not None]


def _share(share: Row[Any], place: Row[Any] | None) -> Json:
    at = None if place is None else {
        "first": place.first, "rows": place.rows, "since": responses.moment(place.started_at)
    }  # fmt: skip
    return {
        "worker": share.worker,
        "rows": int(share.rows),
        "chunks": share.done,
        "took_s": round(share.took_s, 3),
        "failed": share.failed,
        "at": at,
    }


def _shown(row: Row[Any]) -> Json:
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
