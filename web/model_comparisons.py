"""/v1/models/…/compare: versions of one model beside each other."""

from typing import Any

from sqlalchemy import Row

from shared import evidence, models, side_by_side
from shared.keys import READ
from web import registry_schemas, responses
from web.api import Answer, Call, route
from web.registry_requests import CompareQuery

Json = dict[str, Any]


@route("GET", "/v1/models/<name>/compare", scope=READ, query=CompareQuery, answer=registry_schemas.Compared,
       errors=(404,))  # fmt: skip
def compare(call: Call, name: str) -> Answer:
    """Metrics of two to ten versions, and only what differs of params, data and code."""
    tenant, wanted = call.caller.tenant, call.query.numbers
    model = models.find(call.sql, tenant, name)
    versions = [models.find_version(call.sql, tenant, name, number) for number in wanted]
    jobs, rows = evidence.trainings(call.sql, versions), evidence.rows_of(call.sql, tenant, versions)
    data = [_data(version, rows) for version in versions]
    aliases = models.list_aliases(call.sql, model.id)
    shown = [
        _version(version, name=name, aliases=aliases, data=said, job=jobs.get(version.job))
        for version, said in zip(versions, data, strict=True)
    ]
    lineages = [version.lineage for version in versions]
    return Answer({
        "model": name,
        "kind": model.kind,
        "versions": shown,
        "on_same_rows": side_by_side.on_same_rows(versions),
        "metrics": side_by_side.metrics(versions, model.kind),
        "params": side_by_side.differences([lineage.get("params") or {} for lineage in lineages]),
        "data": side_by_side.differences(data),
        "code": side_by_side.differences([_code(lineage) for lineage in lineages]),
    })  # fmt: skip


def _data(version: Row[Any], rows: dict[str, int]) -> Json:
    dataset = version.lineage.get("dataset") or {}
    known = {name: dataset.get(name) for name in ("reference", "sha256", "format")}
    return {**known, "rows": rows.get(dataset.get("id", "")), "split": version.lineage.get("split") or {}}


def _code(lineage: Json) -> Json:
    return {**(lineage.get("code") or {}), "machine": lineage.get("machine")}


def _version(version: Row[Any], *, name: str, aliases: dict[str, int], data: Json, job: Row[Any] | None) -> Json:
    return {
        "version": version.number,
        "reference": f"{name}@{version.number}",
        "created_at": responses.moment(version.created_at),
        "aliases": sorted(alias for alias, number in aliases.items() if number == version.number),
        "parameters": version.parameters,
        "dataset": data,
        "cost": None if job is None else job.cost,
    }
