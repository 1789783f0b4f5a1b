"""A real web process for the tests that need sockets, and the application itself for those that do not."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from shared import keys
from shared.database import Database
from shared.settings import Settings
from tests.web import serving
from tests.web.calling import Caller, a_key
from web.app import create_app, create_services


@pytest.fixture
def is_forked() -> bool:
    """Whether the web process is forked; a test that measures its memory says by parametrize that it is not."""
    return True


@pytest.fixture
def server(redis: Settings, database: Database, tenant: str, is_forked: bool) -> Iterator[serving.Server]:
    """The web process over the test's own database, storage and Redis."""
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=redis.pepper)
    running = serving.start(redis, key, is_forked=is_forked)
    yield running
    running.stop()


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[FlaskClient]:
    app = create_app(create_services(settings))
    yield app.test_client()
    app.extensions["etude"].database.close()


@pytest.fixture
def caller(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> Caller:
    return Caller(client, a_key(database, settings, tenant))
