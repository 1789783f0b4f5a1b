"""A house with a real Redis, which keeps nothing unless a test says so, on both databases."""

import dataclasses
from collections.abc import Iterator

import pytest

from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.faults.house import House


@pytest.fixture
def house(redis: Settings, database: Database, tenant: str) -> Iterator[House]:
    """No process yet: a test starts those that it needs. Leases of 3 s, beats and ticks of half a second."""
    # A checkpoint is due when the rehearsal says so.
    chosen = dataclasses.replace(redis, checkpoint_s=3600.0, log_level="warning")
    storage = Storage(chosen)
    # As each process that is started by hand does it: what its first use commits is no part of a job's life.
    storage.open_keys()
    yield (made := House(chosen, database, storage, tenant))
    made.stop()
