"""The version that another is judged beside, found before a job is queued."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Row

from shared import models
from shared.errors import Fault, InvalidRequest

POINTER = "/params/against"


def freeze(sql: Connection, tenant: str, params: BaseModel, version: Row[Any] | None) -> BaseModel:
    """The params with the number of the version that `against` means: its alias may move before the job runs.

    Raises InvalidRequest when it means none, or one of another kind.
    """
    named = getattr(params, "against", None)
    if named is None or version is None:
        return params
    other = models.resolve(sql, tenant, named, pointer=POINTER)
    if other.kind != version.kind:
        said = f"expected a version of kind {version.kind}, received one of {other.kind}"
        raise InvalidRequest(said, code="against_unlike", faults=[Fault(said, pointer=POINTER)])
    return params.model_copy(update={"against": f"{other.name}@{other.number}"})
