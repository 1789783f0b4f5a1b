"""`@route`: one declaration a call: method, path, scope, what comes in, what goes out. OpenAPI is made from these."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from flask import Flask, Response, request
from pydantic import BaseModel
from sqlalchemy import Connection
from structlog.contextvars import bind_contextvars

from shared import answers, audit_log
from shared.database import Database
from shared.errors import NotFound, Unavailable
from shared.keys import Caller
from web import admission, reading
from web.environ import ROUTE
from web.reading import JSON
from web.services import Services

# In the WSGI environment of a request that was not answered on the spot because of what it asks for.
SLOW = "etude.slow"


@dataclass(frozen=True)
class Call:
    """One request, checked: who calls, what was sent, and an open connection (none where a route opens its own)."""

    services: Services
    caller: Caller
    sql: Connection
    body: Any  # the route's own model
    query: Any  # the route's own model
    # Of a route that opens its own connections: tells the audit log, as the last thing in its transaction.
    note: Callable[[Connection], None] = lambda sql: None

    @property
    def database(self) -> Database:
        """The caller's rows."""
        return self.services.database.of(self.caller.tenant)


@dataclass(frozen=True)
class Answer:
    """What goes back, and what is done once the transaction is committed."""

    body: Any = None  # JSON, bytes of it, or an iterator of bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = JSON
    ring: str | None = None
    after: Callable[[], None] | None = None


@dataclass(frozen=True)
class Route:
    """A declared call."""

    method: str
    path: str
    scope: str | None
    handler: Callable[..., Answer]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: type[BaseModel] | None
    status: int
    media_types: tuple[str, ...]
    errors: tuple[int, ...]
    is_upload: bool
    opens: bool
    is_slow: bool
    takes_csv: bool
    before: Callable[[Services, Any], None] | None  # Any: the route's own model
    changes: bool
    submits: bool
    shows_secret: bool

    @property
    def action(self) -> str:
        """What the audit log calls it: `keys.create`."""
        return f"{self.handler.__module__.rpartition('.')[2]}.{self.handler.__name__}"


ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *,
    scope: str | None,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    media_types: tuple[str, ...] = (JSON,),
    errors: tuple[int, ...] = (),
    is_upload: bool = False,
    opens: bool = True,
    is_slow: bool = False,
    takes_csv: bool = False,
    before: Callable[[Services, Any], None] | None = None,
    changes: bool | None = None,
    submits: bool = False,
    shows_secret: bool = False,
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Declare a call. `scope` None: public. `opens` False: the handler opens its own connections.

    `takes_csv`: the body may be text/csv as well, and is then handed on as bytes. `is_slow`: it asks storage or another
    server, which nobody else shall wait for. `before`: that which it asks, with no transaction open, for other writers
    wait for that. `changes`: it is told in the audit log, as everything is but a GET and what says that it is not.
    `submits`: it makes a job. `shows_secret`: its answer has a `secret`, which is not kept for a replay.
    """

    def declare(handler: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append(
            Route(
                method,
                path,
                scope,
                handler,
                body,
                query,
                answer,
                status,
                media_types,
                errors,
                is_upload,
                opens,
                is_slow,
                takes_csv,
                before,
                method != "GET" if changes is None else changes,
                submits,
                shows_secret,
            )
        )
        return handler

    return declare


def mount(app: Flask) -> None:
    """Give every declared call its address; `views` says what is there."""
    for declared in ROUTES:
        app.add_url_rule(declared.path, _endpoint(declared), methods=[declared.method])


def views(services: Services) -> dict[str, Callable[..., Response]]:
    """What answers each declared call, by Flask's name for its address."""
    return {_endpoint(declared): _view(declared, services) for declared in ROUTES}


def _endpoint(declared: Route) -> str:
    return f"{declared.method} {declared.path}"


def _view(declared: Route, services: Services) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        request.environ[ROUTE] = declared.path
        bind_contextvars(route=declared.path)
        if any("\0" in str(value) for value in path.values()):
            raise NotFound("There is no such thing.")
        if declared.is_slow and services.is_prompt:
            request.environ[SLOW] = True
            raise Unavailable("This is not answered on the spot.")
        caller = admission.admit(declared, services, path)
        if not declared.changes:
            return _answer(declared, services, caller, path)
        with admission.telling_refusals(declared, services, caller, path):
            return _answer(declared, services, caller, path)

    return view


def _answer(declared: Route, services: Services, caller: Caller, path: dict[str, str]) -> Response:
    query = reading.query_of(declared)
    if declared.is_upload or not declared.opens:
        return _leave(declared, services, caller=caller, query=query, path=path)
    content = reading.content_of(declared, services)
    body = reading.body_of(declared, content)
    if declared.before is not None:
        declared.before(services, body)
    if declared.method == "GET":
        with services.database.of(caller.tenant).reading() as sql:
            return _respond(services, declared.handler(Call(services, caller, sql, body, query), **path))
    return _write(declared, services, content, caller=caller, body=body, query=query, path=path)


# A route that opens its own connections has none here; the type is kept simple for all the others.
_NONE = cast(Connection, None)


def _leave(declared: Route, services: Services, *, caller: Caller, query: Any, path: dict[str, str]) -> Response:
    """Run a handler that opens its own connections."""
    noted = []

    def note(sql: Connection) -> None:
        audit_log.append(sql, admission.entry(declared, caller.tenant, declared.status, key=caller.key_id, path=path))
        noted.append(True)

    asked = _read_question(declared, services)
    given = declared.handler(Call(services, caller, _NONE, asked, query, note), **path)
    if declared.changes and not noted:
        raise RuntimeError(f"{declared.action} has not told the audit log what it did.")
    return _respond(services, given)


def _write(
    declared: Route, services: Services, content: bytes, *, caller: Caller, body: Any, query: Any, path: dict[str, str]
) -> Response:
    """Run a handler in one transaction, together with the keeping of its answer."""
    key = reading.idempotency_key(declared)
    with services.database.of(caller.tenant).transaction() as sql:
        if key is not None:
            wanted = answers.fingerprint(sql, caller.tenant, declared.method, request.full_path, content)
            kept = answers.begin(sql, caller.tenant, key, request=wanted)
            if kept is not None:
                return Response(kept.body, kept.status, {**kept.headers, "Idempotency-Replayed": "true"})
        given = declared.handler(Call(services, caller, sql, body, query), **path)
        text = b"" if given.body is None else orjson.dumps(given.body)
        headers = {"Content-Type": given.media_type, **given.headers} if given.body is not None else given.headers
        if key is not None:
            # Kept in plain: a secret would lie there for a day. Whoever has lost it rotates.
            lasting = orjson.dumps({**given.body, "secret": None}) if declared.shows_secret else text
            answers.keep(sql, caller.tenant, key, answers.Kept(given.status, headers, lasting.decode()))
        if declared.changes:
            said = admission.entry(declared, caller.tenant, given.status, key=caller.key_id, path=path, body=given.body)
            audit_log.append(sql, said)
    _finish(services, given)
    return Response(text, given.status, headers)


def _read_question(declared: Route, services: Services) -> BaseModel | bytes | None:
    """The body of a call that writes nothing, or of an upload, which reads its own."""
    if declared.body is None:
        reading.refuse_unread_body(declared)
        return None
    # Asked again it is answered alike, so an answer is not kept under its key.
    reading.idempotency_key(declared)
    return reading.body_of(declared, reading.content_of(declared, services))


def _respond(services: Services, given: Answer) -> Response:
    _finish(services, given)
    if given.body is None:
        return Response(status=given.status, headers=given.headers)
    content = given.body if isinstance(given.body, Iterator | bytes) else orjson.dumps(given.body)
    return Response(content, given.status, given.headers, content_type=given.media_type)


def _finish(services: Services, given: Answer) -> None:
    """What must not happen before the commit."""
    if given.ring is not None:
        services.bell.ring(given.ring)
    if given.after is not None:
        given.after()
