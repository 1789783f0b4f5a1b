"""The training that made a version, so that it can be carried out again."""

from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Row

from shared import datasets
from shared.errors import NotAllowedNow, NotFound
from shared.kinds import KINDS

Json = dict[str, Any]


def training(version: Row[Any]) -> BaseModel:
    """The params of the training, of a search those of its winner.

    Raises NotAllowedNow (not_reproducible) when this release does not read them, and for noise that is gone.
    """
    said = (version.lineage.get("params") or {}).get("privacy")
    if said is not None and said.get("noise_seed") is None:
        raise NotAllowedNow(
            f"{version.name}@{version.number} was trained privately, with noise that nobody can draw again: that is "
            "what its epsilon rests on.",
            code="not_reproducible",
        )
    schema: type[BaseModel] = KINDS[version.kind].ACTIONS["train"]
    try:
        return schema.model_validate(version.lineage.get("params"))
    except ValidationError as cause:
        wrong = cause.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        made_by = version.lineage.get("code", {}).get("etude", "an older one")
        said = (
            f"This release does not read the params that {version.name}@{version.number} was trained with "
            f"({place}: {wrong['msg']}): use the release that made it, {made_by}."
        )
        raise NotAllowedNow(said, code="not_reproducible") from cause


def learned_from(sql: Connection, tenant: str, version: Row[Any]) -> list[Row[Any]]:
    """The datasets of the training in their order. Raises NotAllowedNow (dataset_erased) where one is gone."""
    first = version.lineage.get("dataset")
    if first is None:
        said = f"{version.name}@{version.number} does not say what it has learned from: train it anew."
        raise NotAllowedNow(said, code="not_reproducible")
    return [_find(sql, tenant, each) for each in (first, *version.lineage.get("beside", ()))]


def _find(sql: Connection, tenant: str, dataset: Json) -> Row[Any]:
    try:
        return datasets.find(sql, tenant, dataset["id"])
    except NotFound as cause:
        said = f"{dataset['reference']}, which the version learned from, was erased: nothing can train the same again."
        raise NotAllowedNow(said, code="dataset_erased") from cause
