"""Datasets of interactions at the door: roles of their columns, bases, and the erasing of a listener."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from shared import keys, pseudonyms
from shared.database import Database
from shared.settings import Settings
from shared.tables import answers
from shared.tables import datasets as dataset_table
from shared.tables import jobs as job_table
from tests import factories
from tests.web.calling import Caller, a_key


def create(caller: Caller, **body: Any) -> Any:
    return caller.call("POST", "/v1/datasets", {"name": "plays", "format": "interactions", **body})


@pytest.fixture
def ready(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return factories.make_dataset(sql, tenant, name="plays", format="interactions")


def test_a_dataset_of_interactions_needs_a_name_and_no_more(caller: Caller) -> None:
    answer = create(caller)

    assert (answer.status_code, answer.json["format"], answer.json["columns"]) == (201, "interactions", {})


def test_every_role_may_be_named(caller: Caller) -> None:
    named = {"user": "who", "item": "what", "weight": "n", "time": "at", "context": "where", "drop": ["date"]}
    roles = {**named, "pseudonymise": True}

    assert create(caller, columns=roles).json["columns"] == roles


@pytest.mark.parametrize("role", ["target", "group", "id", "mask", "file", "tempo"])
def test_roles_of_other_formats_are_refused_by_name(caller: Caller, role: str) -> None:
    answer = create(caller, columns={role: ["a"] if role == "mask" else "a"})

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert f"expected no {role} in columns: these are roles of a" in json.dumps(answer.json)


@pytest.mark.parametrize("of", ["table", "audio", "symbolic"])
@pytest.mark.parametrize("role", ["user", "pseudonymise"])
def test_other_formats_refuse_the_roles_of_interactions(caller: Caller, of: str, role: str) -> None:
    answer = create(caller, format=of, columns={role: True if role == "pseudonymise" else "a"})

    assert answer.status_code == 422
    assert f"expected no {role} in columns" in json.dumps(answer.json)


@pytest.mark.parametrize("value", ["yes", "true", False, 0])
def test_that_users_have_pseudonyms_may_be_said_and_not_denied(caller: Caller, value: Any) -> None:
    assert create(caller, columns={"pseudonymise": value}).status_code == 422


def test_a_base_is_of_the_same_name_and_format(caller: Caller, ready: str) -> None:
    assert create(caller, base=ready).status_code == 201
    assert create(caller, base=ready, name="mix").json["code"] == "base_of_another_name"
    assert create(caller, base=ready, format="table").json["code"] == "format_mismatch"


def test_an_erasure_is_a_job_that_knows_a_pseudonym_alone(
    caller: Caller, database: Database, settings: Settings, tenant: str, ready: str
) -> None:
    answer = caller.call(
        "POST", f"/v1/datasets/{ready}/erase", {"user": " alice ", "retrain": True}, **{"Idempotency-Key": "once"}
    )

    assert (answer.status_code, answer.json["action"], answer.json["datasets"]) == (202, "erase", [ready])
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    expected = pseudonyms.of(settings.pepper, tenant, "plays", "alice")
    assert answer.json["params"] == {"user": expected, "retrain": True}
    with database.reading() as sql:
        (job,) = sql.execute(select(job_table)).all()
        kept = sql.execute(select(answers)).mappings().all()
    assert (job.queue, job.kind) == ("light", None)
    assert "alice" not in json.dumps([dict(each) for each in kept])


def test_by_default_nothing_is_trained_anew_and_a_pseudonym_stays_one(
    caller: Caller, settings: Settings, tenant: str, ready: str
) -> None:
    pseudonym = pseudonyms.of(settings.pepper, tenant, "plays", "alice")

    answer = caller.call("POST", f"/v1/datasets/{ready}/erase", {"user": pseudonym})

    assert answer.json["params"] == {"user": pseudonym, "retrain": False}


@pytest.mark.parametrize(
    "body",
    [{}, {"user": ""}, {"user": "  "}, {"user": 7}, {"user": "x" * 1025}, {"user": "a", "retrain": "yes"}, {"id": "a"}],
)
def test_a_body_that_names_nobody_is_refused(caller: Caller, ready: str, body: dict[str, Any]) -> None:
    assert caller.call("POST", f"/v1/datasets/{ready}/erase", body).status_code == 422


def test_only_ready_datasets_of_interactions_have_listeners(caller: Caller, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        table = factories.make_dataset(sql, tenant)
    opened = create(caller).json["id"]

    def erase(dataset: str) -> Any:
        return caller.call("POST", f"/v1/datasets/{dataset}/erase", {"user": "alice"})

    assert (erase(table).status_code, erase(table).json["code"]) == (409, "not_interactions")
    assert (erase(opened).status_code, erase(opened).json["code"]) == (409, "dataset_not_ready")
    assert erase("ds_nowhere").status_code == 404


def test_an_erased_dataset_and_one_of_somebody_else_are_not_found(
    client: Any, caller: Caller, database: Database, settings: Settings, other: str, ready: str
) -> None:
    stranger = Caller(client, a_key(database, settings, other))

    assert stranger.call("POST", f"/v1/datasets/{ready}/erase", {"user": "alice"}).status_code == 404
    with database.transaction() as sql:
        sql.execute(update(dataset_table).where(dataset_table.c.id == ready).values(state="erased"))
    assert caller.call("POST", f"/v1/datasets/{ready}/erase", {"user": "alice"}).status_code == 404


def test_a_key_that_only_reads_erases_nobody(
    client: Any, database: Database, settings: Settings, tenant: str, ready: str
) -> None:
    reader = Caller(client, a_key(database, settings, tenant, keys.READ))

    assert reader.call("POST", f"/v1/datasets/{ready}/erase", {"user": "alice"}).status_code == 403
