"""/v1/models/…/recommend and /similar: what a listener may like, and what is like an item, while the client waits."""

from typing import Any

from sqlalchemy import Connection, Row

from shared import carried_rights, datasets, models, pseudonyms
from shared.errors import InvalidRequest, NotAllowedNow, NotFound
from shared.keys import READ
from shared.list_params import ListParams
from shared.questions import Wish
from web import answer_schemas, terms
from web.api import Answer, Call, route
from web.requests import Recommend, SimilarItemsQuery

KIND = "recommendation"
LIST_FIELDS = set(ListParams.model_fields)


@route("POST", "/v1/models/<reference>/recommend", scope=READ, body=Recommend, answer=answer_schemas.Recommended,
       errors=(404, 409), opens=False, is_slow=True, changes=False)  # fmt: skip
def recommend(call: Call, reference: str) -> Answer:
    """A list for a listener of a dataset, or for anybody who has played some items; nothing is written."""
    wanted: Recommend = call.body
    tenant = call.caller.tenant
    with call.database.reading() as sql:
        version = _find(sql, tenant, reference)
        carried = _rights(sql, version)
        row = _dataset(sql, tenant, version, wanted.dataset) if wanted.user is not None else None
    user = None if row is None else _name(call, row, wanted.user or "")
    asked = ListParams(**{name: getattr(wanted, name) for name in LIST_FIELDS})
    wish = Wish(
        tenant=tenant, version=version.id, dataset=None if row is None else row.id, user=user, played=wanted.played,
        like=None, wanted=asked,
    )  # fmt: skip
    said = call.services.asker.ask(wish)
    dataset = None if row is None else f"{row.name}@{row.version}"
    told = {**said, "model": f"{version.name}@{version.number}", "dataset": dataset}
    return Answer(told, headers=carried)


@route("GET", "/v1/models/<reference>/similar", scope=READ, query=SimilarItemsQuery, answer=answer_schemas.SimilarItems,
       errors=(404, 409), opens=False, is_slow=True)  # fmt: skip
def similar_items(call: Call, reference: str) -> Answer:
    """The items most like one, by what a model has learned."""
    wanted: SimilarItemsQuery = call.query
    tenant = call.caller.tenant
    with call.database.reading() as sql:
        version = _find(sql, tenant, reference)
        carried = _rights(sql, version)
    wish = Wish(
        tenant=tenant, version=version.id, dataset=None, user=None, played=None, like=wanted.item,
        wanted=ListParams(k=wanted.k),
    )  # fmt: skip
    said = call.services.asker.ask(wish)
    told = {**said, "item": wanted.item, "model": f"{version.name}@{version.number}"}
    return Answer(told, headers=carried)


def _find(sql: Connection, tenant: str, reference: str) -> Row[Any]:
    """The version of a reference such as taste@champion. Raises NotFound, and NotAllowedNow for another kind."""
    try:
        version = models.resolve(sql, tenant, reference, pointer="")
    except InvalidRequest as unknown:
        raise NotFound("There is no such model version.") from unknown
    if version.kind != KIND:
        said = f"{version.name}@{version.number} is a {version.kind}, which recommends nothing: name another model."
        raise NotAllowedNow(said, code="not_a_recommender")
    return version


def _rights(sql: Connection, version: Row[Any]) -> terms.Headers:
    return terms.of(carried_rights.of_version(sql, version))


def _dataset(sql: Connection, tenant: str, version: Row[Any], reference: str | None) -> Row[Any]:
    """Where the listener is looked up."""
    trained_on = version.lineage["dataset"]
    if reference is None and datasets.is_erased(sql, trained_on["id"]):
        said = f"The dataset {trained_on['reference']} that this version was trained on was erased: name another."
        raise NotAllowedNow(said, code="dataset_erased")
    row = datasets.resolve(sql, tenant, reference or trained_on["id"], pointer="/dataset")
    if row.format != "interactions":
        said = f"{row.name}@{row.version} is a {row.format}, which has no listeners: name a dataset of interactions."
        raise NotAllowedNow(said, code="not_interactions")
    return row


def _name(call: Call, row: Row[Any], user: str) -> str:
    """The listener as the dataset knows them."""
    # What the ingest did counts, for pseudonyms go on from the version that another one adds to.
    if not row.profile["interactions"].get("pseudonyms"):
        return user
    return pseudonyms.of(call.services.settings.pepper, call.caller.tenant, row.name, user)
