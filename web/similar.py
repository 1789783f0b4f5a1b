"""/v1/models/…/similar: the tracks that sound most like one, answered while the client waits."""

from typing import Any

from sqlalchemy import Connection, Row

from shared import carried_rights, datasets, models
from shared.errors import InvalidRequest, NotAllowedNow
from shared.keys import READ
from shared.questions import Question
from web import answer_schemas, terms
from web.api import Answer, Call, route
from web.requests import SimilarQuery

AUDIO = "audio"


@route("GET", "/v1/models/<name>/versions/<int:number>/similar", scope=READ, query=SimilarQuery,
       answer=answer_schemas.Similar, errors=(404, 409), opens=False, is_slow=True)  # fmt: skip
def similar(call: Call, name: str, number: int) -> Answer:
    """The tracks of a dataset that sound most like one of them, the nearest first."""
    wanted: SimilarQuery = call.query
    tenant = call.caller.tenant
    with call.database.reading() as sql:
        version = models.find_version(sql, tenant, name, number)
        row = _dataset(sql, tenant, version, wanted.dataset)
        carried = carried_rights.of_predictions(sql, version, [row.id])
    question = Question(tenant=tenant, dataset=row.id, track=wanted.track, k=wanted.k, where=wanted.where)
    said = call.services.asker.ask(question)
    told = {**said, "track": wanted.track, "dataset": f"{row.name}@{row.version}"}
    return Answer(told, headers=terms.of(carried))


def _dataset(sql: Connection, tenant: str, version: Row[Any], reference: str | None) -> Row[Any]:
    """The ready dataset of audio that is asked about: the one that is named, else the one that it was trained on."""
    trained_on = version.lineage.get("dataset")
    if trained_on is not None and trained_on["format"] != AUDIO:
        said = f"This version was trained on a {trained_on['format']}, and heard no recording: name another version."
        raise NotAllowedNow(said, code="not_audio")
    row = datasets.resolve(sql, tenant, reference or _own(sql, trained_on), pointer="/dataset")
    if row.format != AUDIO:
        said = f"{row.name}@{row.version} is a {row.format}: name a dataset of format {AUDIO}."
        raise NotAllowedNow(said, code="not_audio")
    return row


def _own(sql: Connection, trained_on: Any) -> str:  # Any: a part of the lineage, or None
    if trained_on is None:
        said = "dataset: expected one to search (its id, name@3 or name@latest), for this model was trained elsewhere"
        raise InvalidRequest(said, code="invalid_parameter")
    if datasets.is_erased(sql, trained_on["id"]):
        said = f"The dataset {trained_on['reference']} that this version was trained on was erased: name another."
        raise NotAllowedNow(said, code="dataset_erased")
    return str(trained_on["id"])
