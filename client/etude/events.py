"""Events as they come: pages of those that have been, and a stream that is taken up again where it broke."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from etude.transport import LONGEST_PAGE, Transport

MEDIA_TYPE = "text/event-stream"
# As the service asks for it (`retry`); it may end a stream at any time.
PAUSE_S = 1.0

Json = dict[str, Any]


def listed(transport: Transport, job_id: str | None, *, after: str, types: Sequence[str]) -> Iterator[Json]:
    """What has happened until now, the oldest first."""
    path, place = _path(job_id), "after" if job_id is None else "cursor"
    while True:
        query: Json = {**_filter(job_id, types), "limit": LONGEST_PAGE, place: after}
        page = transport.get(path, query=query).json()
        yield from (event for event in page["data"] if not types or event["type"] in types)
        if page["next_cursor"] is None:
            return
        after = page["next_cursor"]


def followed(transport: Transport, job_id: str | None, *, after: str, types: Sequence[str]) -> Iterator[Json]:
    """The same and what happens from now on, each event once; of a job until it has ended.

    Raises Refused when the key does not open it any more, Unreachable when the service stays away.
    """
    last = after
    while True:
        headers = {"Accept": MEDIA_TYPE, "Last-Event-ID": last}
        with transport.streamed(_path(job_id), query=_filter(job_id, types), headers=headers) as answer:
            if answer.status_code == httpx.codes.NO_CONTENT:
                return  # the job has ended, and all of it is told
            # A connection that breaks is taken up again.
            with contextlib.suppress(httpx.TransportError):
                for fields in _blocks(answer.iter_lines()):
                    if "data" in fields and (not types or fields.get("event") in types):
                        yield json.loads(fields["data"])
                    last = fields.get("id", last)
        time.sleep(PAUSE_S)


def _path(job_id: str | None) -> str:
    return "/v1/events" if job_id is None else f"/v1/jobs/{quote(job_id, safe='')}/events"


def _filter(job_id: str | None, types: Sequence[str]) -> Json:
    return {"type": ",".join(types)} if types and job_id is None else {}


def _blocks(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Fields by name, block by block; comments are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "" and fields:
            yield fields
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
