"""At the door: a version is trained once more, or exported; of what there is neither, and why."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared.database import Database
from shared.settings import Settings
from shared.tables import datasets, models
from tests import factories
from tests.web.calling import Caller, a_key
from tests.web.registry import lineage, make_version

Json = dict[str, Any]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is asked is asked alike of both databases."""
    return sqlite_url


@pytest.fixture
def dataset(database: Database, tenant: str) -> str:
    """What songs@1 was trained on."""
    with database.transaction() as sql:
        made = factories.make_dataset(sql, tenant, profile=factories.SONGS, rows=100)
        make_version(sql, tenant, lineage=lineage(made), datasets=[made])
    return made


def ask(caller: Caller, action: str, model: str | None = "songs@1", **more: Any) -> Any:
    return caller.call("POST", "/v1/jobs", {"action": action, **({"model": model} if model else {}), **more})


def demand_refused(answer: Any, status: int, code: str, pointer: str | None = None) -> str:
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    if pointer is not None:
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    return str(answer.json["detail"])


def test_a_reproduction_has_the_datasets_and_the_expectation_of_its_training(caller: Caller, dataset: str) -> None:
    job = ask(caller, "reproduce").json

    training = caller.call(
        "POST", "/v1/estimate",
        {"action": "train", "kind": "classification", "dataset": dataset, "params": lineage()["params"]},
    ).json  # fmt: skip
    estimated = caller.call("POST", "/v1/estimate", {"action": "reproduce", "model": "songs@1"}).json
    assert (job["kind"], job["datasets"], job["params"], job["model"]) == ("classification", [dataset], {}, "songs")
    assert job["estimate"]["seconds"] == training["expected_s"] == estimated["expected_s"]


@pytest.fixture
def stranger(client: FlaskClient, database: Database, settings: Settings, other: str) -> Caller:
    return Caller(client, a_key(database, settings, other))


@pytest.mark.parametrize("action", ["reproduce", "export"])
def test_a_version_is_enough_and_must_be_there(caller: Caller, stranger: Caller, dataset: str, action: str) -> None:
    demand_refused(ask(caller, action, dataset=dataset), 422, "invalid_request", "/dataset")
    demand_refused(ask(caller, action, model=None), 422, "invalid_request", "/model")
    demand_refused(ask(caller, action, model="songs@2"), 422, "unknown_reference", "/model")
    demand_refused(ask(stranger, action), 422, "unknown_reference", "/model")
    demand_refused(ask(caller, action, params={"seed": 1}), 422, "invalid_request", "/params/seed")
    demand_refused(ask(caller, action, promote={"alias": "champion"}), 422, "invalid_request", "/promote")


@pytest.mark.parametrize("action", ["reproduce", "export"])
def test_a_model_of_the_service_is_neither_trained_again_nor_exported(caller: Caller, action: str) -> None:
    [model, *_] = [each["name"] for each in caller.call("GET", "/v1/models").json["data"]]

    said = demand_refused(ask(caller, action, model=model), 409, "model_builtin")

    assert "exported or trained again" in said


def test_a_dataset_that_was_erased_trains_nothing_again_and_its_version_is_exported_still(
    database: Database, caller: Caller, dataset: str
) -> None:
    with database.transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(state="erased"))

    demand_refused(ask(caller, "reproduce"), 409, "dataset_erased")
    assert ask(caller, "export").status_code == 202


@pytest.mark.parametrize("formats", [["pickle"], [], ["onnx"] * 4, "onnx"])
def test_a_format_that_there_is_not_is_refused(caller: Caller, dataset: str, formats: Any) -> None:
    answer = ask(caller, "export", params={"formats": formats})

    assert answer.status_code == 422
    assert all(fault["pointer"].startswith("/params/formats") for fault in answer.json["errors"])


@pytest.mark.parametrize("kind", ["generation", "recommendation"])
def test_a_kind_without_an_export_is_refused_with_those_that_have_one(
    database: Database, caller: Caller, tenant: str, kind: str
) -> None:
    with database.of(tenant).transaction() as sql:
        make_version(sql, tenant, name="odes")
        sql.execute(update(models).where(models.c.name == "odes").values(kind=kind))

    said = demand_refused(ask(caller, "export", model="odes"), 422, "export_unsupported", "/model")

    assert "classification or regression" in said


def test_what_hears_or_is_too_large_is_not_exported(database: Database, caller: Caller, tenant: str) -> None:
    heard = lineage()
    heard["dataset"]["format"] = "audio"
    with database.transaction() as sql:
        make_version(sql, tenant, name="heard", lineage=heard)
        make_version(sql, tenant, name="huge", parameters=100_000_001)

    assert "recordings" in demand_refused(ask(caller, "export", model="heard"), 422, "export_unsupported", "/model")
    assert "100,000,001" in demand_refused(ask(caller, "export", model="huge"), 422, "export_unsupported", "/model")


def test_a_version_that_does_not_say_what_it_learned_from_is_not_trained_again(
    database: Database, caller: Caller, tenant: str
) -> None:
    with database.transaction() as sql:
        make_version(sql, tenant, lineage={})

    demand_refused(ask(caller, "reproduce"), 409, "not_reproducible")
