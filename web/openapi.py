"""/v1/openapi.json, made from the declared routes; and an offline page that shows it."""

import re
from functools import cache
from typing import Any

from flask import Response
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared import models
from web import schemas
from web.api import ROUTES, Answer, Call, Route, route
from web.errors import PROBLEM
from web.reading import CSV

Json = dict[str, Any]
OCTETS, BYTES = "application/octet-stream", {"type": "string", "format": "binary", "minLength": 1}
TITLES = {200: "OK", 201: "Created", 202: "Accepted", 204: "Done", 304: "Not changed", 400: "Unreadable request",
          401: "No valid key", 403: "The key lacks the scope", 404: "Not found", 409: "Not possible in this state",
          411: "Content-Length is needed", 413: "Too large", 415: "Wrong content type", 422: "Wrong in content",
          429: "Too many requests", 500: "Our fault", 503: "A part is away"}  # fmt: skip


@route("GET", "/v1/openapi.json", scope=None, opens=False)
def openapi(call: Call) -> Answer:
    """This document."""
    return Answer(document())


@cache
def document() -> Json:
    """OpenAPI 3.1 for every declared route."""
    models = {model for declared in ROUTES for model in (declared.body, declared.answer) if model} | {schemas.Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    places, definitions = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, Json] = {}
    for declared in sorted(ROUTES, key=lambda found: (found.path, found.method)):
        address = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", declared.path)
        described = _operation(declared, {model: places[(model, "validation")] for model in ordered})
        paths.setdefault(address, {})[declared.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Etude", "version": "1", "description": "A self-hosted music-model service."},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(declared: Route, refs: dict[type[BaseModel], Json]) -> Json:
    said: Json = {
        "operationId": f"{declared.handler.__module__.rpartition('.')[2]}_{declared.handler.__name__}",
        "summary": (declared.handler.__doc__ or "").strip(),
        "parameters": [*_path_parameters(declared), *_query_parameters(declared), *_headers(declared)],
        "responses": {str(declared.status): _success(declared, refs)},
    }
    if declared.scope is None:
        said["security"] = []
    if declared.body is not None:
        content = {"application/json": {"schema": refs[declared.body]}}
        said["requestBody"] = {
            "required": True,
            "content": content | ({CSV: {"schema": {"type": "string", "minLength": 1}}} if declared.takes_csv else {}),
        }
    if declared.is_upload:
        said["requestBody"] = {"required": True, "content": {OCTETS: {"schema": BYTES}}}
    problem = {"content": {PROBLEM: {"schema": refs[schemas.Problem]}}}
    for status in sorted({*_common(declared), *declared.errors}):
        said["responses"][str(status)] = {"description": TITLES[status], **problem}
    if "ETag" in (declared.handler.__doc__ or "") or declared.path == "/v1/jobs/<job_id>":
        said["responses"]["304"] = {"description": TITLES[304]}
    return said


def _common(declared: Route) -> set[int]:
    found = {500, 503, 422, 400}
    if declared.scope is not None:
        found |= {401, 403, 429}
    if declared.body is not None or declared.is_upload:
        found |= {413, 415}
    return found


def _success(declared: Route, refs: dict[type[BaseModel], Json]) -> Json:
    said: Json = {"description": TITLES[declared.status]}
    if declared.status == 204:
        return said
    schema = refs[declared.answer] if declared.answer is not None else {}
    said["content"] = {kind: {"schema": schema} if kind == "application/json" else {} for kind in declared.media_types}
    return said


def _path_parameters(declared: Route) -> list[Json]:
    found = re.findall(r"<(?:(\w+):)?(\w+)>", declared.path)
    return [{"name": name, "in": "path", "required": True, "schema": _piece(kind, name)} for kind, name in found]


def _piece(kind: str, name: str) -> Json:
    if kind == "int":
        # Rows are numbered from 0, versions from 1.
        return {"type": "integer", "minimum": 0 if name == "row" else 1}
    return {"type": "string", "minLength": 1, **({"pattern": f"^{models.ALIAS}$"} if name == "alias" else {})}


def _query_parameters(declared: Route) -> list[Json]:
    if declared.query is None:
        return []
    described = declared.query.model_json_schema()
    found = []
    for name, schema in described.get("properties", {}).items():
        if name == "labels":
            continue
        found.append({"name": name, "in": "query", "required": False, "schema": _plain(schema)})
    return found


def _plain(schema: Json) -> Json:
    """A query parameter is there or not; it is never null."""
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    return branches[0] if len(branches) == 1 else schema


def _headers(declared: Route) -> list[Json]:
    if declared.method != "POST" or declared.scope is None:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema}]


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Etude API</title>
<link rel="stylesheet" href="/static/vendor/swagger-ui.css"><link rel="icon" href="data:,"></head>
<body><div id="ui"></div><script src="/static/vendor/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script></body></html>"""


def page() -> Response:
    """The document, readable; every file of it is ours."""
    return Response(PAGE, content_type="text/html; charset=utf-8")
