"""Versions of one model beside each other."""

from typing import Any

import pytest

from shared import side_by_side
from shared.database import Database
from shared.settings import Settings
from tests.factories import make_dataset
from tests.web.calling import Caller, a_key
from tests.web.registry import lineage, make_version, metric


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read is read alike from both databases; what is written is tried on both in tests/shared."""
    return sqlite_url


@pytest.fixture(autouse=True)
def songs(database: Database, tenant: str) -> None:
    """1 and 2 are of the same rows with other params, 3 is of another dataset."""
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, name="songs")
        make_version(sql, tenant, accuracy=0.7, lineage=lineage(dataset))
        losses = {"validation": {"accuracy": metric(0.8, low=0.75, high=0.85), "log_loss": metric(0.4)}}
        make_version(sql, tenant, metrics=losses, lineage={**lineage(dataset, epochs=40), "code": {"keras": "3.13.0"}})
        make_version(sql, tenant, accuracy=0.9, lineage=lineage("ds_other"))


def compare(caller: Caller, versions: str, *, name: str = "songs") -> Any:
    return caller.call("GET", f"/v1/models/{name}/compare?versions={versions}")


def test_of_the_same_rows_the_best_is_named_and_only_what_differs_is_told(caller: Caller) -> None:
    caller.call("PUT", "/v1/models/songs/aliases/champion", {"version": 2})

    said = compare(caller, "1,2").json

    assert said["on_same_rows"]
    accuracy, log_loss = said["metrics"]
    assert (accuracy["metric"], accuracy["better"], accuracy["best"]) == ("accuracy", "higher", 2)
    assert [each["value"] for each in accuracy["values"]] == [0.7, 0.8]
    assert accuracy["values"][1]["interval"] == [0.75, 0.85]
    # Of what only one has, none is the best.
    assert (log_loss["best"], log_loss["values"][0]["value"]) == (None, None)
    assert said["params"] == {"epochs": [20, 40]}
    assert said["code"] == {"etude": ["0.1.0", None], "keras": ["3.12.0", "3.13.0"]}
    assert said["data"] == {}
    assert [each["aliases"] for each in said["versions"]] == [[], ["champion"]]
    assert [(each["cost"]["compute_s"], each["dataset"]["rows"]) for each in said["versions"]] == [(3.5, 4)] * 2


def test_of_different_rows_nothing_is_the_best(caller: Caller) -> None:
    said = compare(caller, "3,1").json

    assert not said["on_same_rows"]
    assert [each["version"] for each in said["versions"]] == [3, 1]
    assert {each["best"] for each in said["metrics"]} == {None}
    assert set(said["data"]) == {"sha256", "rows"}
    assert said["data"]["rows"] == [None, 4]


@pytest.mark.parametrize(
    "versions", ["", "1", "1,1", "1,2,1", "a,b", "1;2", "0,1", "-1,2", "1,2,", ",".join(map(str, range(1, 12)))]
)
def test_what_is_no_list_of_versions_is_refused(caller: Caller, versions: str) -> None:
    refused = compare(caller, versions)

    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")


def test_a_version_that_is_not_there_is_not_found(caller: Caller) -> None:
    missing = compare(caller, "1,99")

    assert (missing.status_code, missing.json["detail"]) == (404, "There is no such version.")
    assert compare(caller, "1,2", name="nosuch").status_code == 404
    # Each of those that come with the service has one version.
    assert compare(caller, "1,2", name="etude.tagger-mtt").status_code == 404


def test_anothers_versions_are_as_if_they_were_not_there(
    caller: Caller, client: Any, database: Database, settings: Settings, other: str
) -> None:
    stranger = Caller(client, a_key(database, settings, other))

    assert compare(stranger, "1,2").json["detail"] == compare(stranger, "1,2", name="nosuch").json["detail"]


def test_differences_are_told_by_their_place() -> None:
    found = side_by_side.differences([{"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 2, "c": [1]}}, {"a": {"b": 1}}])

    assert found == {"a.b": [1, 2, 1], "a.c": [[1], [1], None], "d": [2, None, None]}


def test_versions_of_unknown_data_are_not_on_the_same_rows(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        numbers = [make_version(sql, tenant, name="old", lineage={}) for _ in range(2)]

    said = compare(caller, ",".join(map(str, numbers)), name="old").json

    assert (said["on_same_rows"], said["metrics"][0]["best"]) == (False, None)
