"""Every error as application/problem+json: the one place where the web process turns exceptions into answers."""

from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shared.errors import EtudeError
from shared.log import logger

PROBLEM = "application/problem+json"
# Stable; the address shows the page of the API.
TYPE_BASE = "/docs/errors#"
# A part that is away for a moment is back by then.
RETRY_AFTER_S = 2
# Where the WSGI environment has the name of the request.
REQUEST_ID = "etude.request_id"

log = logger("errors")

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 411: "length_required", 413: "body_too_large",
         414: "uri_too_long", 415: "unsupported_media_type", 431: "headers_too_large"}  # fmt: skip


def register(app: Flask) -> None:
    app.register_error_handler(EtudeError, answer)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, answer_unforeseen)


def answer(error: EtudeError) -> Response:
    return problem(error.status, error.as_json(), retry_after_s=error.retry_after_s)


def answer_http(error: HTTPException) -> Response:
    """Werkzeug's own refusals, in our form and with the headers that HTTP wants of them."""
    status = error.code or 500
    body = {
        "title": error.name,
        "detail": "There is no such address." if status == 404 else str(error.description or error.name),
        "code": CODES.get(status, "internal"),
        "retryable": False,
    }
    made = problem(status, body)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        made.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return made


def answer_unforeseen(error: Exception) -> Response:
    # Where it came in, the line has from what is bound to the request; a path may hold a name.
    log.exception("internal", exc_info=error)
    return problem(500, unforeseen(_request_id()))


def problem(status: int, body: dict[str, Any], retry_after_s: int | None = None) -> Response:
    made = Response(document(status, body, _request_id()), status=status, content_type=PROBLEM)
    if status in (429, 503):
        made.headers["Retry-After"] = str(retry_after_s or RETRY_AFTER_S)
    if status == 401:
        made.headers["WWW-Authenticate"] = 'Bearer realm="etude"'
    return made


def document(status: int, body: dict[str, Any], request_id: str) -> bytes:
    """The body of a problem answer."""
    return orjson.dumps({"type": f"{TYPE_BASE}{body['code']}", "status": status, **body, "request_id": request_id})


def unforeseen(request_id: str) -> dict[str, Any]:
    """What a client is told when the fault is ours; the trace is in the log."""
    said = f"Something went wrong on our side; the operator's log has it under {request_id}."
    return {"title": EtudeError.title, "detail": said, "code": "internal", "retryable": False}


def _request_id() -> str:
    return str(request.environ[REQUEST_ID])
