"""The Flask application: services, routes, error answers, the headers on everything."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from structlog.contextvars import bind_contextvars, clear_contextvars
from werkzeug.routing import Map

from shared import addresses, ids, log, settings
from shared.database import Database
from shared.keys import Keyring
from shared.questions import Asker
from shared.queue import Bell
from shared.receivers import Receivers
from shared.settings import Settings
from shared.storage import Storage
from shared.tenancy import EVERYONE
from web import (
    admission,
    aliases,
    api,
    audit_log,
    audits,
    cards,
    chunks,
    datasets,
    differences,
    encryption,
    erasures,
    errors,
    events,
    health,
    jobs,
    keys,
    kinds,
    limits,
    model_archives,
    model_comparisons,
    models,
    openapi,
    predictions,
    recommendations,
    rights,
    schedules,
    scrape,
    similar,
    trials,
    usage,
    webhooks,
    workers,
)
from web.event_ids import EventIds
from web.observing import Observer
from web.places import Places
from web.quotas import Quotas
from web.rates import Rates
from web.services import Services
from web.shown import Shown
from web.streams import Streams
from web.waiting import WaitingRoom

# Their import declares the routes.
DECLARED = (
    aliases,
    audit_log,
    audits,
    cards,
    chunks,
    datasets,
    differences,
    encryption,
    erasures,
    events,
    health,
    jobs,
    keys,
    kinds,
    limits,
    model_archives,
    model_comparisons,
    models,
    openapi,
    predictions,
    recommendations,
    rights,
    schedules,
    scrape,
    similar,
    trials,
    usage,
    webhooks,
    workers,
)

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    (
        "Content-Security-Policy",
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
# Waiting clients hold none.
POOL_SIZE = 16
# Each holds a thread of web for up to three seconds; the other half is there for all other calls.
LOOK_UPS_AT_ONCE = 8


def create_services(chosen: Settings) -> Services:
    """What the handlers work with; nothing is read from the environment here."""
    database = Database(chosen, pool_size=POOL_SIZE)
    keyring = Keyring(database, chosen.pepper)
    event_ids = EventIds(chosen.pepper)
    rules = addresses.read_rules(chosen.webhook_ports, chosen.webhook_private)
    return Services(
        settings=chosen,
        database=database,
        storage=Storage(chosen),
        bell=Bell(chosen),
        keyring=keyring,
        room=WaitingRoom(database, chosen.waiting_clients),
        observer=Observer(database.of(EVERYONE), chosen),
        streams=Streams(database, keyring, event_ids, chosen.streaming_clients),
        event_ids=event_ids,
        shown=Shown(),
        places=Places(),
        quotas=Quotas(chosen),
        rates=Rates(chosen),
        asker=Asker(chosen, database.cells),
        receivers=Receivers(rules, at_once=LOOK_UPS_AT_ONCE),
    )


def create_app(services: Services) -> Flask:
    """Build the application."""
    app = _bare()
    app.wsgi_app = _in_every_answer(app.wsgi_app)  # type: ignore[assignment,method-assign]  # as Flask shows it
    errors.register(app)
    app.url_map = _url_map()
    app.view_functions |= {**api.views(services), "docs": openapi.page, "errors": openapi.page}
    app.extensions["etude"] = services
    return app


def _bare() -> Flask:
    return Flask("etude", static_folder=str(Path(__file__).parent / "static"))


@functools.cache
def _url_map() -> Map:
    """Every address. Werkzeug takes a quarter of a second to compile them: once a process, not once an application."""
    app = _bare()
    api.mount(app)
    app.add_url_rule("/docs", "docs", methods=["GET"])
    app.add_url_rule("/docs/errors", "errors", methods=["GET"])
    return app.url_map


def _in_every_answer(inner: WSGIApplication) -> WSGIApplication:
    """Name the request and add the headers of every answer: here, since Flask's hooks for it cost a tenth of a poll."""

    def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # The gateway may ask twice in the name of one request.
        given = environ.get(errors.REQUEST_ID) or environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given if REQUEST_ID.match(given) else ids.new("req")
        environ[errors.REQUEST_ID] = request_id

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:  # Any: as the server's own
            said = [*headers, *HEADERS, ("X-Request-Id", request_id)]
            taken = environ.get(admission.RATE)
            if taken is not None:
                said += taken.headers()
            return start_response(status, said, *more)

        clear_contextvars()
        bind_contextvars(request_id=request_id)
        try:
            return inner(environ, start)
        finally:
            # A thread, and the loop, have another request next.
            clear_contextvars()

    return outer


def read_settings() -> Settings:
    """The settings of a web process, from the environment; logs configured."""
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    log.configure(chosen.log_level)
    return chosen


def from_environment() -> Flask:
    """What any WSGI server loads; ours loads web/gateway.py."""
    return create_app(create_services(read_settings()))
