"""The Flask application: services, routes, error answers, the headers on everything."""

import re
from pathlib import Path

from flask import Flask, Response, g, request

from shared import ids, log, processes, settings
from shared.database import Database
from shared.keys import Keyring
from shared.queue import Bell
from shared.settings import Settings
from shared.storage import Storage
from web import api, datasets, errors, health, jobs, kinds, models, openapi, predictions
from web.services import Services
from web.shown import Shown
from web.waiting import WaitingRoom

# Their import declares the routes.
DECLARED = (datasets, health, jobs, kinds, models, openapi, predictions)

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
}
# Connections beyond the waiting clients': waiting holds none.
POOL_SIZE = 16


def create_app(chosen: Settings) -> Flask:
    """Build the application; nothing is read from the environment here."""
    app = Flask("etude", static_folder=str(Path(__file__).parent / "static"))
    database = Database(chosen, pool_size=POOL_SIZE)
    services = Services(
        settings=chosen,
        database=database,
        storage=Storage(chosen),
        bell=Bell(chosen),
        keyring=Keyring(database, chosen.pepper),
        room=WaitingRoom(database, chosen.waiting_clients),
        shown=Shown(),
    )
    app.before_request(_begin)
    app.after_request(_finish)
    errors.register(app)
    api.mount(app, services)
    app.add_url_rule("/docs", "docs", openapi.page, methods=["GET"])
    app.add_url_rule("/docs/errors", "errors", openapi.page, methods=["GET"])
    app.extensions["etude"] = services
    return app


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.match(given) else ids.new("req")


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    return response


def from_environment() -> Flask:
    """What the server loads: settings from the environment, logs configured."""
    # Or a killed server's own child would answer at the port for ever, beside its successor.
    processes.die_with_parent()
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    log.configure(chosen.log_level)
    return create_app(chosen)
