"""What /healthz/sandbox tells of the workers that open uploads."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from shared import ids, workers
from shared.database import Database
from shared.settings import Settings
from shared.tables import workers as slots
from tests.web.calling import a_key
from web.app import create_app, create_services


@pytest.fixture
def ask(settings: Settings, database: Database, tenant: str) -> Iterator[Any]:
    """Asks a web process that demands so much of its workers."""
    key, opened = a_key(database, settings, tenant), []

    def ask(at_least: str) -> Any:
        app = create_app(create_services(dataclasses.replace(settings, sandbox_at_least=at_least)))
        opened.append(app.extensions["etude"].database)
        client: FlaskClient = app.test_client()
        assert client.get("/healthz/sandbox").status_code == 401
        return client.get("/healthz/sandbox", headers={"Authorization": f"Bearer {key}"}).json

    yield ask
    for each in opened:
        each.close()


def boot(database: Database, **tiers: str | None) -> None:
    with database.transaction() as sql:
        for name, tier in tiers.items():
            workers.boot(sql, name, boot=ids.new("boot"), queue="light", pid=1, containment=tier)


def test_the_lowest_of_those_that_are_here_counts(ask: Any, database: Database) -> None:
    boot(database, first="network_namespace", gone="rlimits", answering=None, second="seccomp")
    with database.transaction() as sql:
        sql.execute(update(slots).where(slots.c.name == "gone").values(beat_at=1.0))

    assert ask("landlock") == {
        "status": "below",
        "at_least": "landlock",
        "tier": "seccomp",
        "workers": [
            {"name": "first", "queue": "light", "tier": "network_namespace"},
            {"name": "second", "queue": "light", "tier": "seccomp"},
        ],
    }


@pytest.mark.parametrize(
    ("tier", "at_least", "status"),
    [
        ("none", "rlimits", "below"),
        ("rlimits", "rlimits", "ok"),
        ("landlock", "seccomp", "ok"),
        ("landlock", "network_namespace", "below"),
        ("none", "", "ok"),
    ],
)
def test_it_is_below_what_is_demanded_or_not(
    ask: Any, database: Database, tier: str, at_least: str, status: str
) -> None:
    boot(database, only=tier)

    said = ask(at_least)

    assert (said["status"], said["tier"], said["at_least"]) == (status, tier, at_least or None)


def test_without_a_worker_nothing_is_opened(ask: Any) -> None:
    assert ask("landlock") == {"status": "ok", "at_least": "landlock", "tier": None, "workers": []}
