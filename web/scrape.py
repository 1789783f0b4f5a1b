"""/metrics for Prometheus, and who may read it."""

import hmac
import ipaddress

from flask import request
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

from shared.errors import Forbidden, Unauthorised
from web.api import Answer, Call, route

# Who sends one of these passes on what somebody else has asked.
PASSED_ON = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")
OPENMETRICS = "application/openmetrics-text"


@route(
    "GET", "/metrics", scope=None, opens=False, is_slow=True, media_types=("text/plain", OPENMETRICS), errors=(401, 403)
)
def scrape(call: Call) -> Answer:
    """How the service does, for Prometheus: with the token of ETUDE_METRICS_TOKEN, or where none is set, from here."""
    _admit(call.services.settings.metrics_token)
    if OPENMETRICS in request.headers.get("Accept", ""):
        told = openmetrics.generate_latest(call.services.observer)  # type: ignore[no-untyped-call]  # it ships none
        return Answer(told, media_type=openmetrics.CONTENT_TYPE_LATEST)
    return Answer(exposition.generate_latest(call.services.observer), media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)


def _admit(token: str) -> None:
    if token:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
            raise Unauthorised("Send the token of ETUDE_METRICS_TOKEN: `Authorization: Bearer …`.")
    elif not _is_here():
        raise Forbidden("Without ETUDE_METRICS_TOKEN this is told to its own host alone.", code="metrics_private")


def _is_here() -> bool:
    """Whether a process of this host asks, and for itself."""
    try:
        asking = ipaddress.ip_address((request.remote_addr or "").strip("[]"))
    except ValueError:
        return False
    mapped = getattr(asking, "ipv4_mapped", None)
    return (mapped or asking).is_loopback and not any(name in request.headers for name in PASSED_ON)
