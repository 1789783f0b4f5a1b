"""Another machine where nothing is yet, and a backup to bring there."""

import dataclasses
from pathlib import Path

import pytest

from shared import ids
from shared.backup.saving import save
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests import postgres_server
from tests.shared.backup.filling import fill


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """The settings of another machine, where nothing is yet."""
    home = tmp_path / "elsewhere"
    url = f"sqlite:///{home}/etude.db"
    if request.param == "postgresql":
        server: postgres_server.Server = request.getfixturevalue("postgres")
        name = ids.new("ds")
        server.create_database(name)
        url = server.url(name)
    keys_url = url if url.startswith("postgresql") else f"sqlite:///{home}/keys.db"
    return dataclasses.replace(
        settings, home=home, database_url=url, storage_url=f"file://{home}/storage", keys_url=keys_url
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def saved(settings: Settings, database: Database, storage: Storage, folder: Path) -> Path:
    """A backup of a database that has rows in every table, and of their files."""
    fill(database, storage)
    save(settings, folder)
    return folder
