"""At the door: a table whose profile shows that its columns are not those of the training."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from shared import submission
from shared.database import Database
from shared.errors import InvalidRequest
from shared.settings import Settings
from shared.tables import models, versions
from shared.wanted import NewJob
from tests.factories import PROFILE, SONGS, make_dataset, make_job

TRAINED = [
    {"name": "tempo", "type": "number"},
    {"name": "energy", "type": "number"},
    {"name": "key", "type": "category"},
]

Json = dict[str, Any]


def column(name: str, type_: str = "number", **said: Any) -> Json:
    return {"name": name, "type": type_, "distinct": 9, "constant": False, "missing": 0, **said}


def words(name: str, *values: str, **said: Any) -> Json:
    return column(name, "text", distinct=len(values), top=[[value, 1] for value in values], **said)


FITS = [column("tempo"), column("energy", "integer"), words("key", "C", "G"), words("title", "a", "b")]


def table(sql: Connection, tenant: str, name: str, columns: list[Json]) -> str:
    return make_dataset(sql, tenant, name=name, profile={**PROFILE, "columns": columns})


def make_model(sql: Connection, tenant: str, *, lineage: Json) -> None:
    """A model `songs` of one version."""
    job = make_job(sql, tenant)
    sql.execute(insert(models).values(id="mdl_songs", tenant=tenant, name="songs", kind="classification", created_at=0))
    sql.execute(
        insert(versions).values(
            id="ver_songs", tenant=tenant, model="mdl_songs", number=1, job=job, fence=1, files=[], metrics={},
            baselines={}, warnings=[], lineage=lineage, parameters=1, created_at=0,
        )
    )  # fmt: skip


@pytest.fixture
def model(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_model(sql, tenant, lineage={"dataset": {"format": "table"}, "columns": TRAINED})


def refusal(database: Database, tenant: str, settings: Settings, *tables: list[Json], **params: Any) -> Json | None:
    """What is said of a scoring of these tables; None when it is accepted."""
    with database.transaction() as sql:
        names = [f"table{place}" for place, _ in enumerate(tables)]
        for name, columns in zip(names, tables, strict=True):
            table(sql, tenant, name, columns)
        wanted = NewJob(action="score", model="songs", dataset=names, params=params)
        try:
            submission.check(sql, tenant, wanted, settings)
        except InvalidRequest as refused:
            return refused.as_json()
    return None


@pytest.mark.usefixtures("model")
def test_what_has_all_columns_is_taken_whatever_is_beside_them(
    database: Database, tenant: str, settings: Settings
) -> None:
    assert refusal(database, tenant, settings, FITS, [*FITS, column("loudness")], columns=["title"]) is None


@pytest.mark.usefixtures("model")
def test_every_missing_column_is_named_with_its_dataset_and_place(
    database: Database, tenant: str, settings: Settings
) -> None:
    said = refusal(database, tenant, settings, FITS, FITS[:1], columns=["title"])

    assert said is not None and said["code"] == "columns_missing"
    assert said["detail"] == "The columns are not those that songs@1 was trained on: 'energy', 'key', 'title'."
    assert [(fault["pointer"], fault["column"]) for fault in said["errors"]] == [
        ("/dataset", "energy"), ("/dataset", "key"), ("/params/columns", "title")
    ]  # fmt: skip
    assert {fault["message"] for fault in said["errors"]} == {"expected a column of this name in table1@1"}


@pytest.mark.usefixtures("model")
def test_a_number_that_has_become_words_is_named_with_the_sort_of_one(
    database: Database, tenant: str, settings: Settings
) -> None:
    said = refusal(database, tenant, settings, [words("tempo", "fast", "slow"), *FITS[1:]])

    assert said is not None and said["code"] == "column_not_numeric"
    assert said["errors"] == [
        {
            "pointer": "/dataset", "column": "tempo", "code": "column_not_numeric",
            "message": "expected numbers in table0@1, received words alone, such as text of 4 characters",
        }
    ]  # fmt: skip


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    "tempo",
    [
        words("tempo", "fast", "90"),
        words("tempo", "fast", " 9e1 "),
        # Not all of its values are known: the worker reads them.
        column("tempo", "text", distinct=5000, distinct_is_estimate=True),
        column("tempo", "text", distinct=3, top=[["fast", 2], ["slow", 1]]),
        column("tempo", "boolean", distinct=2, top=[["true", 2], ["false", 1]]),
        column("tempo", "text", distinct=0, top=[]),
    ],
)
def test_where_one_cell_may_be_a_number_the_worker_tells(
    database: Database, tenant: str, settings: Settings, tempo: Json
) -> None:
    assert refusal(database, tenant, settings, [tempo, *FITS[1:]]) is None


def test_of_a_version_of_an_older_release_the_worker_tells(
    database: Database, tenant: str, settings: Settings, model: None
) -> None:
    with database.of(tenant).transaction() as sql:
        sql.execute(update(versions).values(lineage={"dataset": {"format": "table"}}))

    assert refusal(database, tenant, settings, FITS[:1]) is None


@pytest.mark.parametrize(
    ("action", "params", "pointers"),
    [
        ("train", {"report_by": ["tempo", "no"]}, ["/params/report_by/1"]),
        (
            "train",
            {"validation": {"group": "no"}, "report_by": ["No"]},
            ["/params/validation/group", "/params/report_by/0"],
        ),
        ("train", {"validation": {"time": "no"}}, ["/params/validation/time"]),
        ("audit", {"group": "no"}, ["/params/group"]),
        ("tune", {"train": {"validation": {"group": "no"}}}, ["/params/train/validation/group"]),
    ],
)
def test_params_that_name_a_column_which_there_is_not_are_refused_at_the_door(
    database: Database, tenant: str, settings: Settings, action: str, params: Json, pointers: list[str]
) -> None:
    with database.transaction() as sql:
        make_dataset(sql, tenant, name="songs", profile=SONGS)
        wanted = NewJob(action=action, kind="classification", dataset="songs", params=params)
        with pytest.raises(InvalidRequest) as refused:
            submission.check(sql, tenant, wanted, settings)

    assert refused.value.code == "column_unknown" and "'tempo'" not in refused.value.detail
    assert [fault.pointer for fault in refused.value.faults] == pointers
    assert "it has tempo, genre" in refused.value.detail
