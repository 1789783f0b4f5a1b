"""/v1/schedules: jobs that are submitted by themselves, when they will be next, and what became of the last ones."""

from typing import Any

from shared import job_list, schedules
from shared.errors import InvalidRequest
from shared.keys import READ, SUBMIT
from web import responses, schemas
from web.api import Answer, Call, route
from web.models import read_moment
from web.requests import NewSchedule, NextQuery, Page, RunsPage, ScheduleChange

# A calendar has no use for years beyond, and the calculation would leave those that Python knows.
LAST_FROM_S = 4_102_444_800.0


@route("POST", "/v1/schedules", scope=SUBMIT, body=NewSchedule, answer=schemas.Schedule, status=201, errors=(409,))
def create(call: Call) -> Answer:
    """Submit a job by itself from now on; what would be refused as a job is refused here."""
    wanted: NewSchedule = call.body
    said = {**wanted.model_dump(mode="json"), **_said(wanted)}
    row = schedules.create(call.sql, call.caller.tenant, said, call.services.settings)
    return Answer(responses.schedule(row), 201, {"Location": f"/v1/schedules/{row.id}"})


@route("GET", "/v1/schedules", scope=READ, query=Page, answer=schemas.ScheduleList)
def index(call: Call) -> Answer:
    """The newest schedules first."""
    page: Page = call.query
    rows = schedules.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor)
    return Answer(responses.page([responses.schedule(row) for row in rows], limit=page.limit))


@route("GET", "/v1/schedules/<schedule>", scope=READ, answer=schemas.Schedule, errors=(404,))
def show(call: Call, schedule: str) -> Answer:
    """One schedule, by its id or its name."""
    return Answer(responses.schedule(schedules.find(call.sql, call.caller.tenant, schedule)))


@route("PATCH", "/v1/schedules/<schedule>", scope=SUBMIT, body=ScheduleChange, answer=schemas.Schedule,
       errors=(404, 409))  # fmt: skip
def change(call: Call, schedule: str) -> Answer:
    """Change what is named; with another expression or zone it goes on from now."""
    row = schedules.change(call.sql, call.caller.tenant, schedule, _said(call.body), call.services.settings)
    return Answer(responses.schedule(row))


@route("DELETE", "/v1/schedules/<schedule>", scope=SUBMIT, status=204, errors=(404,))
def delete(call: Call, schedule: str) -> Answer:
    """Forget a schedule and its runs; its jobs stay."""
    schedules.remove(call.sql, call.caller.tenant, schedule)
    return Answer(status=204)


@route("POST", "/v1/schedules/<schedule>/pause", scope=SUBMIT, answer=schemas.Schedule, errors=(404,))
def pause(call: Call, schedule: str) -> Answer:
    """Submit nothing until it is resumed."""
    return Answer(responses.schedule(schedules.pause(call.sql, call.caller.tenant, schedule)))


@route("POST", "/v1/schedules/<schedule>/resume", scope=SUBMIT, answer=schemas.Schedule, errors=(404,))
def resume(call: Call, schedule: str) -> Answer:
    """Go on from now; what would have come meanwhile is not made up for."""
    return Answer(responses.schedule(schedules.resume(call.sql, call.caller.tenant, schedule)))


@route("POST", "/v1/schedules/<schedule>/run", scope=SUBMIT, answer=schemas.Job, status=202, errors=(404, 409, 429),
       submits=True)  # fmt: skip
def run(call: Call, schedule: str) -> Answer:
    """Submit its job now, whatever its state and overlap."""
    call.services.quotas.take(call.sql, call.caller.tenant)
    row = schedules.run(call.sql, call.caller.tenant, schedule, call.services.settings)
    body = responses.job(job_list.fresh(row, ahead=call.services.places.take(call.sql, row)))
    return Answer(body, 202, {"Location": f"/v1/jobs/{row.id}"}, ring=row.queue)


@route("GET", "/v1/schedules/<schedule>/next", scope=READ, query=NextQuery, answer=schemas.Moments, errors=(404,))
def show_next(call: Call, schedule: str) -> Answer:
    """The moments that come next, from now or from another moment on."""
    row = schedules.find(call.sql, call.caller.tenant, schedule)
    after = _read_from(call)
    return Answer(
        {"data": [responses.moment(each) for each in schedules.list_next(row, count=call.query.n, after=after)]}
    )


@route("GET", "/v1/schedules/<schedule>/runs", scope=READ, query=RunsPage, answer=schemas.RunList, errors=(404,))
def runs(call: Call, schedule: str) -> Answer:
    """What became of its moments, the newest first."""
    page: RunsPage = call.query
    row = schedules.find(call.sql, call.caller.tenant, schedule)
    found = schedules.list_runs(call.sql, row.id, limit=page.limit + 1, before=page.cursor)
    shown = found[: page.limit]
    cursor = schedules.cursor_of(shown[-1]) if len(found) > page.limit else None
    return Answer({"data": [responses.run(each) for each in shown], "next_cursor": cursor})


def _said(body: NewSchedule | ScheduleChange) -> dict[str, Any]:
    """What the client named, and of the job no more than it named there."""
    return body.model_dump(mode="json", exclude_unset=True)


def _read_from(call: Call) -> float:
    moment = read_moment(call.query.from_, name="from")
    if moment is None:
        return schedules.read_clock(call.sql)
    if not 0 <= moment < LAST_FROM_S:
        raise InvalidRequest("from: expected a moment from 1970 to 2099", code="invalid_parameter")
    return moment
