"""/v1/models: names, versions, aliases, downloads."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from shared import builtin, models, usage
from shared.errors import InvalidRequest, NotFound
from shared.keys import READ, SUBMIT
from web import responses, schemas
from web.api import Answer, Call, route
from web.requests import AliasMove, AliasQuery, Page

ZIP = "application/zip"


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
    return Answer(responses.version(row, name=name, aliases=models.list_aliases(call.sql, row.model)))


@route("PUT", "/v1/models/<name>/aliases/<alias>", scope=SUBMIT, body=AliasMove, answer=schemas.Version,
       errors=(404, 409))  # fmt: skip
def move_alias(call: Call, name: str, alias: str) -> Answer:
    """Point an alias to a version, if the gate lets it pass."""
    models.check_alias(alias)
    wanted: AliasMove = call.body
    require = None if wanted.require is None else wanted.require.model_dump()
    row = models.move_alias(call.sql, call.caller.tenant, name, alias, number=wanted.version, require=require)
    return Answer(responses.version(row, name=name, aliases=models.list_aliases(call.sql, row.model)))


@route("GET", "/v1/models/<name>/aliases/<alias>", scope=READ, query=AliasQuery, answer=schemas.Version, errors=(404,))
def show_alias(call: Call, name: str, alias: str) -> Answer:
    """The version to which an alias points, or pointed at a moment."""
    model = models.find(call.sql, call.caller.tenant, name)
    found = models.version_at(call.sql, model.id, alias, read_moment(call.query.at))
    if found is None:
        raise NotFound("The alias points to nothing.")
    row = models.find_by_id(call.sql, found)
    return Answer(responses.version(row, name=name, aliases=models.list_aliases(call.sql, model.id)))


@route("GET", "/v1/models/<name>/versions/<int:number>/download", scope=READ, media_types=(ZIP,),
       errors=(404, 409), is_slow=True)  # fmt: skip
def download(call: Call, name: str, number: int) -> Answer:
    """The version as an archive: spec, weights, card, and a manifest with the SHA-256 of each."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    row = models.find_version(call.sql, call.caller.tenant, name, number)
    card = responses.version(row, name=name, aliases=models.list_aliases(call.sql, row.model))
    headers = {"Content-Disposition": f'attachment; filename="model-{row.id}.zip"'}
    return Answer(archive(call, row, card), headers=headers, media_type=ZIP)


def archive(call: Call, row: Row[Any], card: dict[str, Any]) -> Iterator[bytes]:
    """A zip, stored: weights do not shrink."""
    contents = {file["name"]: call.services.storage.get(file["key"]) for file in row.files}
    contents["card.json"] = json.dumps(card, indent=1, ensure_ascii=False).encode()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents["manifest.json"] = json.dumps({"files": digests, "version": row.id}, indent=1).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        for name, content in contents.items():
            file.writestr(zipfile.ZipInfo(name), content)
    yield packed.getvalue()


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
