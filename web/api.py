"""`@route`: one declaration a call: method, path, scope, what comes in, what goes out. OpenAPI is made from these."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from flask import Flask, Response, g, request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from structlog.contextvars import bind_contextvars
from werkzeug.exceptions import LengthRequired

from shared import answers, refusals
from shared.errors import BadRequest, Forbidden, InvalidRequest, NotFound, TooLarge, Unavailable, UnsupportedMedia
from shared.keys import RANKS, Caller
from web import strict_json
from web.environ import ROUTE, TENANT
from web.services import Services

JSON, CSV = "application/json", "text/csv"
# 100,000 lines of a number, a word and a label.
CSV_BYTES = 16 * 1024 * 1024
KEY_CHARACTERS = 255
# In the WSGI environment of a request that was not answered on the spot because of what it asks for.
SLOW = "etude.slow"
# Fields of a query that are written one name at a time.
GATHERED = {"labels": "label.", "where": "where."}


@dataclass(frozen=True)
class Call:
    """One request, checked: who calls, what was sent, and an open connection (none where a route opens its own)."""

    services: Services
    caller: Caller
    sql: Connection
    body: Any  # the route's own model
    query: Any  # the route's own model


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
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Declare a call. `scope` None: public. `opens` False: the handler opens its own connections.

    `takes_csv`: the body may be text/csv as well, and is then handed on as bytes. `is_slow`: it asks storage or another
    server, which nobody else shall wait for. `before`: that which it asks, with no transaction open, for other writers
    wait for that.
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
            )
        )
        return handler

    return declare


def mount(app: Flask, services: Services) -> None:
    """Give every declared call its address."""
    for declared in ROUTES:
        endpoint = f"{declared.method} {declared.path}"
        app.add_url_rule(declared.path, endpoint, _view(declared, services), methods=[declared.method])


def _view(declared: Route, services: Services) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        request.environ[ROUTE] = declared.path
        bind_contextvars(route=declared.path)
        if any("\0" in str(value) for value in path.values()):
            raise NotFound("There is no such thing.")
        if declared.is_slow and services.is_prompt:
            request.environ[SLOW] = True
            raise Unavailable("This is not answered on the spot.")
        caller = _admit(declared, services)
        query = _read_query(declared)
        if declared.is_upload or not declared.opens:
            asked = _read_question(declared, services)
            return _respond(services, declared.handler(Call(services, caller, _NONE, asked, query), **path))
        content = _read_content(declared, services)
        body = _read_body(declared, content)
        if declared.before is not None:
            declared.before(services, body)
        if declared.method == "GET":
            with services.database.reading() as sql:
                return _respond(services, declared.handler(Call(services, caller, sql, body, query), **path))
        return _write(declared, services, content, caller=caller, body=body, query=query, path=path)

    return view


# A route that opens its own connections has none here; the type is kept simple for all the others.
_NONE = cast(Connection, None)
_NOBODY = Caller(tenant="", key_id="", rank=-1)


def _admit(declared: Route, services: Services) -> Caller:
    if declared.scope is None:
        return _NOBODY
    caller = services.keyring.identify(request.headers.get("Authorization"))
    g.tenant = request.environ[TENANT] = caller.tenant
    bind_contextvars(tenant=caller.tenant)
    if caller.rank < RANKS[declared.scope]:
        raise Forbidden(f"This call needs a key with the scope {declared.scope}.")
    return caller


def _write(
    declared: Route, services: Services, content: bytes, *, caller: Caller, body: Any, query: Any, path: dict[str, str]
) -> Response:
    """Run a handler in one transaction, together with the keeping of its answer."""
    key = _idempotency_key(declared)
    with services.database.transaction() as sql:
        if key is not None:
            wanted = answers.fingerprint(declared.method, request.full_path, content)
            kept = answers.begin(sql, caller.tenant, key, request=wanted)
            if kept is not None:
                return Response(kept.body, kept.status, {**kept.headers, "Idempotency-Replayed": "true"})
        given = declared.handler(Call(services, caller, sql, body, query), **path)
        text = b"" if given.body is None else orjson.dumps(given.body)
        headers = {"Content-Type": given.media_type, **given.headers} if given.body is not None else given.headers
        if key is not None:
            answers.keep(sql, caller.tenant, key, answers.Kept(given.status, headers, text.decode()))
    _finish(services, given)
    return Response(text, given.status, headers)


def _read_question(declared: Route, services: Services) -> BaseModel | bytes | None:
    """The body of a call that writes nothing, or of an upload, which reads its own."""
    if declared.body is None:
        _refuse_unread_body(declared)
        return None
    # Asked again it is answered alike, so an answer is not kept under its key.
    _idempotency_key(declared)
    return _read_body(declared, _read_content(declared, services))


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


def _idempotency_key(declared: Route) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or declared.method != "POST":
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS or not all("!" <= sign <= "~" for sign in key):
        said = f"Idempotency-Key: expected 1 to {KEY_CHARACTERS} printable ASCII characters without spaces."
        raise BadRequest(said, code="idempotency_key_invalid")
    return key


def _read_content(declared: Route, services: Services) -> bytes:
    is_csv = declared.takes_csv and request.mimetype == CSV
    limit, named = (CSV_BYTES, "CSV") if is_csv else (services.settings.json_bytes, "JSON")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"A {named} body may have {limit:,} bytes.")
    content = request.stream.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"A {named} body may have {limit:,} bytes.")
    if request.content_length is not None and len(content) != request.content_length:
        # What has come may be whole JSON by chance; whoever was cut off did not mean it to be acted on.
        raise BadRequest(f"{request.content_length:,} bytes were announced, {len(content):,} arrived.")
    if declared.body is None and content.strip() not in (b"", b"{}"):
        raise BadRequest("This call takes no body.", code="unexpected_body")
    return content


def _read_body(declared: Route, content: bytes) -> BaseModel | bytes | None:
    if declared.body is None:
        return None
    if declared.takes_csv and request.mimetype == CSV:
        return content
    if request.mimetype != JSON:
        named = f"{JSON} or {CSV}" if declared.takes_csv else JSON
        raise UnsupportedMedia(f"Send {named}; received {request.mimetype or 'no content type'}.")
    try:
        return declared.body.model_validate(strict_json.read(content))
    except ValidationError as cause:
        raise refusals.of(cause) from cause


def _read_query(declared: Route) -> BaseModel | None:
    given = request.args.to_dict(flat=False)
    if declared.query is None:
        if given:
            said = f"This call takes no query parameters; received {', '.join(sorted(given))[:200]}."
            raise InvalidRequest(said, code="unknown_parameter")
        return None
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        raise InvalidRequest(f"The query parameter {twice[0][:100]} is there twice.", code="invalid_parameter")
    flat: dict[str, Any] = {name: values[0] for name, values in given.items()}
    if any("\0" in name + value for name, value in flat.items()):
        raise InvalidRequest("A query parameter holds a NUL.", code="invalid_parameter")
    for field_name, prefix in GATHERED.items():
        if field_name in declared.query.model_fields:
            flat = _gather(flat, field_name, prefix)
    try:
        return declared.query.model_validate_strings(flat)
    except ValidationError as cause:
        raise refusals.of(cause) from cause


def _gather(flat: dict[str, Any], field_name: str, prefix: str) -> dict[str, Any]:
    """`label.team=mir` as {"labels": {"team": "mir"}}."""
    if field_name in flat:
        said = f"There is no query parameter {field_name}; write {prefix}<name>=<value>."
        raise InvalidRequest(said, code="unknown_parameter")
    found = {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}
    rest = {name: value for name, value in flat.items() if not name.startswith(prefix)}
    return {**rest, field_name: found}


def _refuse_unread_body(declared: Route) -> None:
    if declared.is_upload:
        if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
            raise UnsupportedMedia("Send the bytes of the file themselves, not a form.")
        if request.content_length is None:
            raise LengthRequired("Content-Length is needed.")
