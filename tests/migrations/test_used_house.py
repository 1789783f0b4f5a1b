"""A house that a release before has used: what `python -m migrations.upgrade` asks for, changes, and leaves alone."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, select, text

from migrations.upgrade import upgrade
from shared import ids
from shared.database import Database
from shared.sealing.key_store import KeyStore
from shared.settings import Settings
from shared.tables import models, tenants
from shared.tenancy import EVERYONE
from shared.up import environment_of
from tests import postgres_server

# The last of the release before anything was sealed.
BEFORE = "0012"
CANARY = "zyzzogenever"
ROWS = (
    f"INSERT INTO tenants (id, name, created_at) VALUES ('ten_old', '{CANARY} house', 0)",
    f"INSERT INTO models (id, tenant, name, kind, created_at) VALUES ('mod_a', 'ten_old', '{CANARY}', 'regression', 0)",
)

# Dies before it has changed this, of a migration that has changed something before and of the one before that.
KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from migrations.upgrade import upgrade

def die(connection, cursor, statement, *_):
    if "ix_score_chunks_key" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", die)
upgrade(sys.argv[1])
"""


@pytest.fixture
def used(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """Settings of whoever owns the tables of a house as the release before left it."""
    url = f"sqlite:///{tmp_path}/used.db"
    if settings.database_url.startswith("postgresql"):
        server: postgres_server.Server = request.getfixturevalue("postgres")
        name = ids.new("ds")
        server.create_database(name)
        request.addfinalizer(lambda: server.drop_database(name))
        url = server.url(name)
    upgrade(url, BEFORE)
    engine = create_engine(url)
    with engine.begin() as sql:
        if sql.dialect.name == "postgresql":
            sql.exec_driver_sql("SELECT set_config('etude.tenant', '*', true)")
        for row in ROWS:
            sql.execute(text(row))
    engine.dispose()
    keys_url = f"sqlite:///{tmp_path}/used-keys.db" if url.startswith("sqlite") else url
    return replace(settings, database_url=url, keys_url=keys_url)


def run(chosen: Settings) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **environment_of(chosen)}
    said = [sys.executable, "-m", "migrations.upgrade"]
    return subprocess.run(said, env=environment, capture_output=True, text=True, timeout=60, check=False)


def revision(chosen: Settings) -> str:
    engine = create_engine(chosen.database_url)
    with engine.connect() as sql:
        found = sql.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return str(found)


def test_without_a_root_key_nothing_is_changed(used: Settings) -> None:
    ran = run(replace(used, root_key=""))

    assert ran.returncode == 1 and ran.stderr.startswith("Etude cannot start.\nThere is no root key")
    assert revision(used) == BEFORE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_with_another_root_key_than_that_of_the_key_store_nothing_is_changed(used: Settings) -> None:
    keys = KeyStore(used)
    keys.open(list, lambda: None)
    keys.close()

    ran = run(replace(used, root_key="ab" * 32))

    assert ran.returncode == 1 and "The keys were wrapped with the root key" in ran.stderr
    assert revision(used) == BEFORE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_database_needs_no_root_key(settings: Settings, tmp_path: Path) -> None:
    empty = replace(settings, database_url=f"sqlite:///{tmp_path}/empty.db", root_key="")

    assert run(empty).returncode == 0


def test_killed_between_two_migrations_it_is_said_again(used: Settings) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, used.database_url], timeout=60, check=False)
    left = revision(used)

    assert (killed.returncode, left) == (-signal.SIGKILL, BEFORE)
    upgrade(used.database_url)
    assert revision(used) > BEFORE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_at_once_upgrade_one_after_the_other(used: Settings) -> None:
    with ThreadPoolExecutor(2) as both:
        ran = list(both.map(run, [used, used]))

    assert [each.returncode for each in ran] == [0, 0], [each.stderr for each in ran]


def test_said_twice_all_is_found_and_no_name_lies_open(used: Settings) -> None:
    assert [run(used).returncode, run(used).returncode] == [0, 0]

    database = Database(used, whose=EVERYONE)
    with database.of("ten_old").reading() as sql:
        assert sql.execute(select(models.c.id).where(models.c.name == CANARY)).scalars().all() == ["mod_a"]
    database.close()
    if used.database_url.startswith("sqlite"):
        folder = Path(make_url(used.database_url).database or "").parent
        assert [path.name for path in folder.glob("used*") if CANARY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_services_role_finds_what_the_owner_has_sealed(used: Settings, postgres: postgres_server.Server) -> None:
    assert run(used).returncode == 0
    name = make_url(used.database_url).database or ""
    postgres.admit_app(name)

    url = postgres.app_url(name)
    database = Database(replace(used, database_url=url, keys_url=url), whose=EVERYONE)
    with database.reading() as sql:
        assert sql.execute(select(tenants.c.name)).scalars().all() == [f"{CANARY} house"]
    database.close()
