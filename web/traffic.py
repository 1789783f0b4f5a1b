"""Every request once it is over: a line of the log, and a place in the counts of /metrics."""

import re
import time
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from shared import log, traces
from shared.settings import Settings
from shared.traces import Span
from web.environ import LOCATION, ROUTE, TENANT, Environ
from web.errors import REQUEST_ID
from web.streams import MEDIA_TYPE

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Asked every few seconds by whoever watches over the process.
SILENT = ("/healthz", "/readyz", "/metrics")
UNMATCHED = "unmatched"
JOB = re.compile(r"^/v1/jobs/(job_[0-9a-z]{26})(?:/|$)")
# A poll takes some 0.2 ms, an answer from a worker seconds, `Prefer: wait` up to a minute.
EDGES_S = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)

# Of this process alone, beside no other's series.
registry = CollectorRegistry()
_requests = Counter(
    "etude_http_requests", "Requests answered by this process.", ("route", "method", "status"), registry=registry
)
_seconds = Histogram(
    "etude_http_request_seconds", "Seconds to an answer, waiting by Prefer included, streams left out.",
    ("route", "method"), buckets=EDGES_S, registry=registry,
)  # fmt: skip


def note(environ: Environ, status: int, seconds: float) -> None:
    """Count a request, and tell of it unless it asks for health alone. Nothing that a client made up is kept."""
    route = environ.get(ROUTE, UNMATCHED)
    method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "OTHER"
    _count_of(route, method, status).inc()
    if MEDIA_TYPE not in environ.get("HTTP_ACCEPT", ""):
        _seconds_of(route, method).observe(seconds)
    if route in SILENT:
        return
    log.tell("traffic", "request", method=method, status=status, ms=round(seconds * 1000, 2), **names(environ))


def trace(chosen: Settings, environ: Environ, status: int, seconds: float) -> None:
    """Tell a collector of a request, unless it asks for health alone."""
    said = names(environ)
    if not chosen.traces_url or said["route"] in SILENT:
        return
    method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "OTHER"
    attributes: dict[str, str | int] = {
        "http.request.method": method, "http.route": said["route"], "http.response.status_code": status,
        **{f"etude.{name}": said[name] for name in ("request_id", "tenant", "job") if name in said},
    }  # fmt: skip
    now = time.time()
    span = Span(f"{method} {said['route']}", now - seconds, now, attributes, has_failed=status >= 500)
    traces.tell_request(chosen, span, job=said.get("job"))


def names(environ: Environ) -> dict[str, str]:
    """What a line about a request has of it: `route`, and where it is known `request_id`, `tenant`, `job`."""
    known = {"request_id": environ.get(REQUEST_ID), "tenant": environ.get(TENANT), "job": _job_of(environ)}
    return {"route": environ.get(ROUTE, UNMATCHED), **{name: said for name, said in known.items() if said is not None}}


# To look a series up by its labels takes longer than to count.
@cache
def _count_of(route: str, method: str, status: int) -> Counter:
    return _requests.labels(route, method, str(status))


@cache
def _seconds_of(route: str, method: str) -> Histogram:
    return _seconds.labels(route, method)


def _job_of(environ: Environ) -> str | None:
    """The job that the request is about, or that it made."""
    found = JOB.match(environ.get(LOCATION) or environ["PATH_INFO"])
    return found[1] if found else None
