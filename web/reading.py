"""What a request brings, read as its route declares it: the body, the query, the Idempotency-Key."""

from typing import TYPE_CHECKING, Any

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import LengthRequired

from shared import refusals
from shared.errors import BadRequest, InvalidRequest, TooLarge, UnsupportedMedia
from web import strict_json
from web.services import Services

if TYPE_CHECKING:
    from web.api import Route

JSON, CSV = "application/json", "text/csv"
# 100,000 lines of a number, a word and a label.
CSV_BYTES = 16 * 1024 * 1024
KEY_CHARACTERS = 255
# Fields of a query that are written one name at a time.
GATHERED = {"labels": "label.", "where": "where."}


def idempotency_key(declared: "Route") -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or declared.method != "POST":
        return None
    if not 1 <= len(key) <= KEY_CHARACTERS or not all("!" <= sign <= "~" for sign in key):
        said = f"Idempotency-Key: expected 1 to {KEY_CHARACTERS} printable ASCII characters without spaces."
        raise BadRequest(said, code="idempotency_key_invalid")
    return key


def content_of(declared: "Route", services: Services) -> bytes:
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


def body_of(declared: "Route", content: bytes) -> BaseModel | bytes | None:
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


def query_of(declared: "Route") -> BaseModel | None:
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


def refuse_unread_body(declared: "Route") -> None:
    if declared.is_upload:
        if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
            raise UnsupportedMedia("Send the bytes of the file themselves, not a form.")
        if request.content_length is None:
            raise LengthRequired("Content-Length is needed.")
