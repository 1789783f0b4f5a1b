"""/v1/models: names, what their owners say of them, versions."""

from datetime import datetime
from typing import Any

from shared import builtin, carried_rights, models, usage
from shared.errors import InvalidRequest
from shared.keys import READ, SUBMIT
from web import responses, schemas
from web.api import Answer, Call, route
from web.registry_requests import ModelChange
from web.requests import Page

Json = dict[str, Any]


@route("GET", "/v1/models", scope=READ, query=Page, answer=schemas.ModelList)
def index(call: Call) -> Answer:
    """The newest models first."""
    page: Page = call.query
    rows = models.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor)
    shown = [responses.listed_model(row, models.list_aliases(call.sql, row.id)) for row in rows]
    return Answer(responses.page(shown, limit=page.limit))


@route("GET", "/v1/models/<name>", scope=READ, answer=schemas.Model, errors=(404,))
def show(call: Call, name: str) -> Answer:
    """One model with its versions and aliases."""
    row = models.find(call.sql, call.caller.tenant, name)
    aliases = models.list_aliases(call.sql, row.id)
    return Answer(responses.model(row, versions=models.list_versions(call.sql, row), aliases=aliases))


@route("PATCH", "/v1/models/<name>", scope=SUBMIT, body=ModelChange, answer=schemas.Model, errors=(404, 409))
def change(call: Call, name: str) -> Answer:
    """Change what the cards of a model say of its purpose; an empty text takes away what was said."""
    said = {field: text or None for field, text in call.body.model_dump(exclude_none=True).items()}
    row = models.describe(call.sql, call.caller.tenant, name, said)
    aliases = models.list_aliases(call.sql, row.id)
    return Answer(responses.model(row, versions=models.list_versions(call.sql, row), aliases=aliases))


@route("DELETE", "/v1/models/<name>", scope=SUBMIT, status=204, errors=(404, 409), is_slow=True)
def delete(call: Call, name: str) -> Answer:
    """Forget a model with all its versions, once no job that has not ended scores with one."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    row = models.find(call.sql, call.caller.tenant, name)
    usage.refuse_while_used(call.sql, row)
    keys = [file["key"] for version in models.list_versions(call.sql, row) for file in version.files]
    models.delete(call.sql, call.caller.tenant, name)
    return Answer(status=204, after=lambda: _delete(call, keys))


def _delete(call: Call, keys: list[str]) -> None:
    for key in keys:
        call.services.storage.delete(key)


@route("GET", "/v1/models/<name>/versions/<int:number>", scope=READ, answer=schemas.Version, errors=(404,))
def show_version(call: Call, name: str, number: int) -> Answer:
    """One version: metrics beside baselines, warnings, lineage."""
    row = models.find_version(call.sql, call.caller.tenant, name, number)
    return Answer(whole(call, row, name))


def whole(call: Call, row: Any, name: str) -> Json:  # Any: a row, or what comes with the service
    """A version with its rights as they are now."""
    carried = carried_rights.of_version(call.sql, row)
    return responses.version(row, name=name, aliases=models.list_aliases(call.sql, row.model), rights=carried)


def read_moment(text: str | None, *, name: str = "at") -> float | None:
    """Seconds since 1970 of an RFC 3339 moment."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no zone")
        return moment.timestamp()
    except (ValueError, OverflowError) as cause:
        said = f"{name}: expected a moment such as 2026-11-24T12:00:00Z"
        raise InvalidRequest(said, code="invalid_parameter") from cause
