"""Who works here, as a tenant is told it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from shared import ids, keys, workers
from shared.database import Database, now
from shared.settings import Settings
from shared.tables import tenants
from shared.tables import workers as slots
from tests.factories import claim, make_job
from web.app import create_app, create_services


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Whoever is there stays so for as long as a test takes."""
    return dataclasses.replace(settings, lease_s=60.0)


@pytest.fixture
def client(settings: Settings) -> Iterator[FlaskClient]:
    services = create_services(settings)
    yield create_app(services).test_client()
    services.database.close()


def ask(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> dict[str, Any]:
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.READ, pepper=settings.pepper)
    said = client.get("/v1/workers", headers={"Authorization": f"Bearer {key}"}).json
    return {worker["name"]: worker for worker in said["data"]}


def boot(database: Database, name: str, **more: str) -> None:
    with database.transaction() as sql:
        workers.boot(sql, name, boot=ids.new("boot"), queue="train", pid=1, **more)


def test_every_state_is_told(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> None:
    for name in ("idle", "busy", "draining", "gone", "silent"):
        boot(database, name)
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql, worker="busy")
        for name in ("draining", "gone"):
            workers.drain(sql, name)
        old = slots.c.name.in_(["gone", "silent"])
        sql.execute(update(slots).where(old).values(beat_at=now() - settings.lease_s - 1))

    said = ask(client, database, settings, tenant)

    assert {name: worker["state"] for name, worker in said.items()} == {name: name for name in said}
    assert len(said) == 5
    assert said["busy"]["job"]["id"] == taken.job_id
    assert said["busy"]["job"] | {"since": ""} == {
        "id": taken.job_id, "action": "train", "kind": "classification", "model": "songs", "stage": "starting",
        "since": "",
    }  # fmt: skip
    assert all(said[name]["job"] is None for name in said if name != "busy")


def test_it_is_told_how_far_decoders_are_contained(
    client: FlaskClient, database: Database, settings: Settings, tenant: str
) -> None:
    boot(database, "opening", containment="landlock")
    boot(database, "answering")
    boot(database, "moved", containment="landlock")
    # Started again elsewhere: what its predecessor reached is not what it reaches.
    boot(database, "moved", containment="seccomp")

    said = ask(client, database, settings, tenant)

    told = {name: worker["containment"] for name, worker in said.items()}
    assert told == {"opening": "landlock", "answering": None, "moved": "seccomp"}


def test_the_memory_of_its_cards_is_told(
    client: FlaskClient, database: Database, settings: Settings, tenant: str
) -> None:
    card = {"index": 0, "name": "H100", "used_bytes": 1, "total_bytes": 2}
    for name in ("with", "without"):
        boot(database, name)
    with database.transaction() as sql:
        workers.beat(sql, "with", devices=[card])

    said = ask(client, database, settings, tenant)

    assert {name: worker["devices"] for name, worker in said.items()} == {"with": [card], "without": []}


def test_anothers_job_is_not_told(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> None:
    other = ids.new("ten")
    boot(database, "busy")
    with database.transaction() as sql:
        sql.execute(insert(tenants).values(id=other, name=other, created_at=now()))
        make_job(sql, other)
        claim(sql, worker="busy")

    said = ask(client, database, settings, tenant)

    assert (said["busy"]["state"], said["busy"]["job"]) == ("busy", None)


def test_a_slot_that_was_silent_for_a_week_is_forgotten_unless_it_holds_a_job(database: Database, tenant: str) -> None:
    for name in ("old", "holding", "new"):
        boot(database, name)
    with database.transaction() as sql:
        make_job(sql, tenant)
        claim(sql, worker="holding")
        old = slots.c.name.in_(["old", "holding"])
        sql.execute(update(slots).where(old).values(beat_at=now() - workers.KEPT_S - 1))

        workers.forget(sql)

        assert {row.name for row in workers.every(sql)} == {"holding", "new"}


def test_only_a_worker_that_neither_works_nor_leaves_is_free(database: Database, tenant: str) -> None:
    for name in ("free", "busy", "leaving"):
        boot(database, name)
    with database.transaction() as sql:
        make_job(sql, tenant)
        claim(sql, worker="busy")
        workers.drain(sql, "leaving")

        assert [workers.beat(sql, name) for name in ("free", "busy", "leaving", "unknown")] == [
            True, False, False, False,
        ]  # fmt: skip
