"""A real web process, for the tests that need sockets."""

from collections.abc import Iterator

import pytest

from shared import keys
from shared.database import Database
from shared.settings import Settings
from tests.web import serving


@pytest.fixture
def server(redis: Settings, database: Database, tenant: str) -> Iterator[serving.Server]:
    """The web process over the test's own database, storage and Redis."""
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=redis.pepper)
    running = serving.start(redis, key)
    yield running
    running.stop()
