"""Events: of a job, of all jobs of a tenant; as pages, and as a live stream (`Accept: text/event-stream`)."""

import re
from typing import Any

from flask import request
from sqlalchemy import Row

from shared import feed, job_list
from shared.errors import InvalidRequest
from shared.feed import Wanted
from shared.jobs import ENDED
from shared.keys import READ
from web import responses, schemas
from web.api import Answer, Call, route
from web.event_ids import BEGINNING
from web.reading import JSON
from web.requests import FeedPage, JobEventsPage
from web.streams import MAY_STREAM, MEDIA_TYPE, Stream

NUMBER = re.compile(r"^\d{1,16}$")
# A proxy that gathers what it passes on would hold every event back.
HEADERS = {"X-Accel-Buffering": "no"}


@route("GET", "/v1/jobs/<job_id>/events", scope=READ, query=JobEventsPage, answer=schemas.EventList, errors=(404,),
       media_types=(JSON, MEDIA_TYPE), opens=False)  # fmt: skip
def of_job(call: Call, job_id: str) -> Answer:
    """What has happened, in order; the cursor is the id of the last event seen. By `Accept` as a live stream."""
    query: JobEventsPage = call.query
    with call.database.reading() as sql:
        row = job_list.find(sql, call.caller.tenant, job_id)
        if _wants_stream():
            after = _last_number(query.last_event_id)
            return _stream_of_job(call, row, after, last=job_list.last_event(sql, job_id))
        rows = job_list.list_events(sql, job_id, after=query.cursor, limit=query.limit)
    last = rows[-1].seq if rows else query.cursor
    more = len(rows) == query.limit
    return Answer({"data": [responses.event(row) for row in rows], "next_cursor": str(last) if more else None})


@route("GET", "/v1/events", scope=READ, query=FeedPage, answer=schemas.FeedList, errors=(404,),
       media_types=(JSON, MEDIA_TYPE), opens=False)  # fmt: skip
def of_all(call: Call) -> Answer:
    """What has happened to all jobs, in one order, from the event `after` on. By `Accept` as a live stream."""
    query: FeedPage = call.query
    database = call.database
    wanted = Wanted(call.caller.tenant, query.types, query.job)
    if query.job is not None:
        with database.reading() as sql:
            job_list.find(sql, call.caller.tenant, query.job)
    is_stream, ids, tenant = _wants_stream(), call.services.event_ids, call.caller.tenant
    said, name = (_last_seen(query.last_event_id), "Last-Event-ID") if is_stream else (BEGINNING, "after")
    after = ids.read(tenant, said, name=name) or ids.read(tenant, query.after, name="after")
    feed.demand_given(database, after, name=name)
    if is_stream:
        return _begin(call, Stream(wanted, False, after, request.headers.get("Authorization")))
    upto = feed.horizon(database)
    with database.reading() as sql:
        page = feed.page(sql, wanted, after=after, upto=upto, limit=query.limit)
    rows = [responses.feed_event(event, id=ids.say(tenant, event.position)) for event in page.events]
    after_it = ids.say(tenant, page.read_to)
    return Answer({"data": rows, "next_cursor": after_it if page.has_more else None, "after": after_it})


def _stream_of_job(call: Call, row: Row[Any], after: int, *, last: int) -> Answer:
    if after > last:
        raise feed.unknown(name="Last-Event-ID")
    if row.state in ENDED and after == last:
        # It tells a browser not to come again.
        return Answer(status=204)
    wanted = Wanted(call.caller.tenant, job=row.id)
    return _begin(call, Stream(wanted, True, after, request.headers.get("Authorization")))


def _begin(call: Call, stream: Stream) -> Answer:
    """The head of the answer; the server finds in the environment what follows."""
    if request.method == "GET":
        call.services.streams.enter(stream)
        request.environ[MAY_STREAM] = stream
    return Answer(b"", headers=HEADERS, media_type=MEDIA_TYPE)


def _wants_stream() -> bool:
    """Whether a stream was asked for, by a client of a server that can send one; else it is answered with a page."""
    is_asked = request.accept_mimetypes.best_match([JSON, MEDIA_TYPE], default=JSON) == MEDIA_TYPE
    return is_asked and MAY_STREAM in request.environ


def _last_seen(in_query: str | None) -> str:
    """The last event that the client has seen; the header is what a browser sends when it comes again."""
    return request.headers.get("Last-Event-ID") or in_query or BEGINNING


def _last_number(in_query: str | None) -> int:
    """The same among the events of one job."""
    said = _last_seen(in_query)
    if NUMBER.match(said) is None:
        text = "Last-Event-ID: expected the id of an event, a whole number."
        raise InvalidRequest(text, code="invalid_parameter")
    return int(said)
