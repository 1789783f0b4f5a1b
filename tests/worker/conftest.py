"""What a worker's job is given; a file whose worker is another, or is told otherwise, has a `post` of its own."""

import pytest

from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.worker import working
from worker.runner import Post


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage)
