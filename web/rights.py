"""/v1/datasets/…/rights: the ledger of a dataset, and the next entry of it."""

from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import carried_rights, datasets, models, rights
from shared.keys import READ, SUBMIT
from shared.rights_params import NewEntry
from shared.row_keys import RowKeys
from shared.tables import models as model_table
from shared.tables import versions
from web import responses, rights_schemas
from web.api import Answer, Call, route
from web.requests import RunsPage

Json = dict[str, Any]

ERASURE = (
    "What was learned stays in these versions until they are deleted or trained anew: POST /v1/erasures does either."
)


@route("GET", "/v1/datasets/<dataset_id>/rights", scope=READ, query=RunsPage, answer=rights_schemas.Ledger,
       errors=(404,))  # fmt: skip
def show(call: Call, dataset_id: str) -> Answer:
    """What holds of a dataset now, of which rows something else, and every entry of the ledger, the newest first."""
    page: RunsPage = call.query
    row = datasets.find(call.sql, call.caller.tenant, dataset_id)
    rows = rights.page(call.sql, row.id, limit=page.limit + 1, before=page.cursor)
    after = str(rows[-1].number) if len(rows) > page.limit else None
    entries = [_entry(call, each) for each in rows[: page.limit]]
    return Answer({**_current(call, row), "data": entries, "next_cursor": after})


def _names(call: Call) -> RowKeys:
    return RowKeys(call.services.storage, call.services.settings.pepper)


def _entry(call: Call, row: Row[Any]) -> Json:
    track = None if row.track is None else _names(call).open(row.tenant, row.track)
    return responses.rights_entry(row, track=track)


def _current(call: Call, row: Row[Any]) -> Json:
    sql, names = call.sql, _names(call)
    now = rights.standing(sql, [row.id])[row.id]
    carried = carried_rights.add_up(carried_rights.of_datasets(sql, rights.with_sources(sql, [row.id])))
    found = [(names.open(row.tenant, said["cell"]), said) for said in now.tracks.values()]
    tracks = {key: {name: said[name] for name in ("licence", "commercial")} | {"consent": said["state"]}
              for key, said in sorted(found, key=itemgetter(0))}  # fmt: skip
    return {"dataset": row.id, "reference": f"{row.name}@{row.version}", "rights": carried, "tracks": tracks}


@route("POST", "/v1/datasets/<dataset_id>/rights", scope=SUBMIT, body=NewEntry, answer=rights_schemas.Entered,
       status=201, errors=(404, 409))  # fmt: skip
def enter(call: Call, dataset_id: str) -> Answer:
    """Write the next entry: a licence that has changed, a consent that is given or withdrawn, of all or of one row.

    The answer lists the versions that learned from it, each with its rights as they are now.
    """
    wanted: NewEntry = call.body
    row = datasets.find(call.sql, call.caller.tenant, dataset_id)
    number = rights.append(
        call.sql, call.caller.tenant, row.id, wanted.said,
        key=call.caller.key_id, track=wanted.track, reason=wanted.reason, names=_names(call),
    )  # fmt: skip
    (entry,) = rights.page(call.sql, row.id, limit=1, before=number)
    found = _learned_from(call, row.id)
    erase = ERASURE if any(each["marks"] for each in found) else None
    said = {**_current(call, row), "entry": _entry(call, entry), "models": found, "what_to_do": erase}
    return Answer(said, 201)


def _learned_from(call: Call, dataset_id: str) -> list[Json]:
    """The versions that learned from a dataset or from one that has its rows, and where aliases point to them."""
    sql, tenant = call.sql, call.caller.tenant
    jobs = datasets.jobs_naming(sql, tenant, rights.with_descendants(sql, dataset_id))
    chosen = (
        select(versions, model_table.c.name)
        .join(model_table, model_table.c.id == versions.c.model)
        .where(versions.c.job.in_([job.id for job in jobs]))
    )
    return [_learned(sql, version) for version in sql.execute(chosen.order_by(versions.c.id))]


def _learned(sql: Connection, version: Row[Any]) -> Json:
    carried = carried_rights.of_version(sql, version)
    at = models.list_aliases(sql, version.model)
    return {
        "model": f"{version.name}@{version.number}",
        "aliases": sorted(alias for alias, number in at.items() if number == version.number),
        **{name: carried[name] for name in ("commercial", "consent", "marks")},
    }
