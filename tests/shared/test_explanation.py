"""What may be asked of an explanation, by what is explained."""

from typing import Any

import pytest
from sqlalchemy import Row

from shared import datasets, explanation
from shared.audio_params import AudioScoring
from shared.database import Database
from shared.errors import InvalidRequest
from shared.table_params import TableScoring
from tests import factories


@pytest.fixture
def recordings(database: Database, tenant: str) -> list[Row[Any]]:
    with database.transaction() as sql:
        dataset = factories.make_dataset(sql, tenant, format="audio")
        return [datasets.find(sql, tenant, dataset)]


@pytest.mark.parametrize("asked", [{"top": 3}, {"counterfactual": True}, {"nearest": 0}])
def test_what_is_for_rows_of_a_table_is_refused_for_recordings(recordings: list[Row[Any]], asked: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        explanation.refuse_unfit(AudioScoring.model_validate({"explain": asked}), recordings, None)

    assert [fault.pointer for fault in refused.value.faults] == [f"/params/explain/{next(iter(asked))}"]


@pytest.mark.parametrize("asked", [True, False, None, {}, {"tracks": 3, "labels": ["rock"]}])
def test_what_is_for_recordings_is_taken_as_before(recordings: list[Row[Any]], asked: Any) -> None:
    params = AudioScoring.model_validate({"explain": asked})

    explanation.refuse_unfit(params, recordings, None)

    assert (params.reason is None) == (asked in (False, None))
    assert asked is not True or (params.reason is not None and params.reason.tracks == 20)


def test_more_is_expected_of_more_that_is_asked() -> None:
    asked: list[Any] = [False, True, {"counterfactual": {"fixed": []}}]
    plain, told, changed = (explanation.passes(TableScoring.model_validate({"explain": each})) for each in asked)

    assert plain == 1 and told > 100 and changed > 10 * told
