"""/v1/jobs: submit, poll, cancel, retry; metrics."""

import re
from typing import Any

import orjson
from flask import Request, request

from shared import erasures, job_list, jobs, reuse, schedules, submission
from shared.job_list import Glance
from shared.jobs import ENDED
from shared.keys import READ, SUBMIT
from shared.wanted import NewJob
from web import responses, schemas
from web.api import Answer, Call, route
from web.requests import CancelQuery, JobsPage
from web.waiting import MAY_STAY, STAYED, Stay

WAIT = re.compile(r"(?:^|,)\s*wait=(\d{1,4})\s*(?:,|$)")
WAIT_AT_MOST_S = 60
# What a client that does not wait should wait: short while a job is young, longer for the long ones.
RETRY_AFTER_S = 1


@route("POST", "/v1/jobs", scope=SUBMIT, body=NewJob, answer=schemas.Job, status=202, errors=(409, 429),
       submits=True)  # fmt: skip
def submit(call: Call) -> Answer:
    """Accept a job: from now on it exists, whatever dies; with `reuse` an earlier one that did the same may answer."""
    call.services.quotas.take(call.sql, call.caller.tenant)
    new = submission.check(call.sql, call.caller.tenant, call.body, call.services.settings)
    found = reuse.find(call.sql, new) if call.body.reuse else None
    if found is not None and found.job is not None:
        earlier = job_list.whole(call.sql, found.job)
        return Answer(responses.job(earlier, reuse=found), 200, {"Location": f"/v1/jobs/{found.job.id}"})
    row = jobs.submit(call.sql, new)
    body = responses.job(job_list.fresh(row, ahead=call.services.places.take(call.sql, row)), reuse=found)
    return Answer(body, 202, {"Location": f"/v1/jobs/{row.id}"}, ring=new.queue)


@route("POST", "/v1/estimate", scope=READ, body=NewJob, answer=schemas.Estimate, errors=(409,), changes=False)
def estimate(call: Call) -> Answer:
    """What the same body would cost as a job; creates nothing."""
    return Answer(submission.estimate(call.sql, call.caller.tenant, call.body, call.services.settings))


@route("GET", "/v1/jobs", scope=READ, query=JobsPage, answer=schemas.JobList)
def index(call: Call) -> Answer:
    """The newest jobs first."""
    page: JobsPage = call.query
    equal = {
        name: value
        for name in ("state", "kind", "action", "model", "parent")
        if (value := getattr(page, name)) is not None
    }
    if page.schedule is not None:
        equal["schedule"] = schedules.read_id(call.sql, call.caller.tenant, page.schedule)
    rows = job_list.page(
        call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor, equal=equal, labels=page.labels
    )
    return Answer(responses.page([responses.listed_job(row) for row in rows], limit=page.limit))


@route("GET", "/v1/jobs/<job_id>", scope=READ, answer=schemas.Job, errors=(404,), opens=False)
def show(call: Call, job_id: str) -> Answer:
    """One job; with `Prefer: wait=N` the answer comes when it has ended, with `If-None-Match` when it has changed."""
    row = _glance(call, job_id)
    seen = request.headers.get("If-None-Match")
    wait_s = read_wait(request)
    has_news = row.state in ENDED or seen not in (None, etag(job_id, row.revision))
    if wait_s and not has_news and STAYED not in request.environ:
        stay = Stay(job_id, row.revision, is_for_end=seen is None, limit_s=wait_s)
        if MAY_STAY in request.environ:
            # The server asks again when it is over; this answer goes nowhere.
            request.environ[MAY_STAY] = stay
            return Answer(status=204)
        request.environ[STAYED] = call.services.room.wait(stay)
        row = _glance(call, job_id)
    headers = {"ETag": etag(job_id, row.revision)}
    if request.environ.get(STAYED):
        headers["Preference-Applied"] = f"wait={wait_s}"
    if row.state not in ENDED:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if seen == headers["ETag"]:
        return Answer(status=304, headers=headers)
    document = call.services.shown.take(job_id, revision=row.revision, make=lambda: _document(call, job_id))
    return Answer(document, headers=headers)


def _glance(call: Call, job_id: str) -> Glance:
    return job_list.glance(call.database, call.caller.tenant, job_id)


def _document(call: Call, job_id: str) -> tuple[str, int, bytes]:
    with call.database.reading() as sql:
        row = job_list.find(sql, call.caller.tenant, job_id)
        return row.state, row.revision, orjson.dumps(responses.job(job_list.whole(sql, row)))


@route("POST", "/v1/jobs/<job_id>/cancel", scope=SUBMIT, query=CancelQuery, answer=schemas.Job, status=202,
       errors=(404, 409))  # fmt: skip
def cancel(call: Call, job_id: str) -> Answer:
    """Ask for the end of a job; `keep=best` makes a model version of its best epoch."""
    erasures.refuse_cancel(call.sql, call.caller.tenant, job_id)
    jobs.cancel(call.sql, call.caller.tenant, job_id, keep=call.query.keep)
    return Answer(_shown(call, job_id), 202)


@route("POST", "/v1/jobs/<job_id>/retry", scope=SUBMIT, answer=schemas.Job, status=202, errors=(404, 409, 429),
       submits=True)  # fmt: skip
def retry(call: Call, job_id: str) -> Answer:
    """Run a failed job again under the same id."""
    call.services.quotas.take(call.sql, call.caller.tenant)
    queue = jobs.retry(call.sql, call.caller.tenant, job_id)
    return Answer(_shown(call, job_id), 202, ring=queue)


def _shown(call: Call, job_id: str) -> dict[str, Any]:
    row = job_list.find(call.sql, call.caller.tenant, job_id)
    return responses.job(job_list.whole(call.sql, row))


@route("GET", "/v1/jobs/<job_id>/metrics", scope=READ, answer=schemas.EpochList, errors=(404,))
def metrics(call: Call, job_id: str) -> Answer:
    """Every epoch's metrics."""
    job_list.find(call.sql, call.caller.tenant, job_id)
    return Answer({"data": job_list.list_epochs(call.sql, job_id)})


def etag(job_id: str, revision: int) -> str:
    return f'"{job_id[-8:]}-{revision}"'


def read_wait(asked: Request) -> int:
    """The seconds of `Prefer: wait=N`, at most a minute; 0 without it."""
    found = WAIT.search(asked.headers.get("Prefer", ""))
    return min(int(found[1]), WAIT_AT_MOST_S) if found else 0
