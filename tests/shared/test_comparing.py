"""The version that another is judged beside is found when the job is submitted."""

from typing import Any

import pytest
from sqlalchemy import Connection, Row

from shared import comparing, models
from shared.database import Database
from shared.errors import InvalidRequest
from shared.kinds.classification import EvaluateParams
from shared.models import NewVersion
from tests import factories

NOTHING = NewVersion(files=[], metrics={}, baselines={}, warnings=[], lineage={}, parameters=0)


def make_versions(sql: Connection, tenant: str) -> Row[Any]:
    """Two versions of a classification and one of a regression; the first of them."""
    for model, kind in (("songs", "classification"), ("songs", "classification"), ("loud", "regression")):
        factories.make_job(sql, tenant, model=model, kind=kind)
        models.record(sql, factories.claim(sql), NOTHING)
    return models.resolve(sql, tenant, "songs@1", pointer="/model")


def test_an_alias_is_frozen_as_the_version_that_it_means_now(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        version = make_versions(sql, tenant)
        models.move_alias(sql, tenant, "songs", "champion", number=2)

        frozen = comparing.freeze(sql, tenant, EvaluateParams(against="songs@champion"), version)

    assert frozen.model_dump(mode="json", exclude_unset=True) == {"against": "songs@2"}


@pytest.mark.parametrize(
    ("against", "code"), [("loud@1", "against_unlike"), ("songs@9", "unknown_reference"), ("no", "unknown_reference")]
)
def test_what_cannot_stand_beside_it_is_refused_at_the_door(
    database: Database, tenant: str, against: str, code: str
) -> None:
    with database.transaction() as sql:
        version = make_versions(sql, tenant)

        with pytest.raises(InvalidRequest) as refused:
            comparing.freeze(sql, tenant, EvaluateParams(against=against), version)

    assert (refused.value.code, refused.value.faults[0].pointer) == (code, "/params/against")
