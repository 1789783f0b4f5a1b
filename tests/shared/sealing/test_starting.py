"""Whether a process may start, and the sentence with which it may not."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from shared.sealing import starting
from shared.settings import Settings, SettingsWrong
from shared.storage import Storage
from shared.up import environment_of
from tests.postgres_server import APP

OTHER_ROOT = "ab" * 32
PROGRAMS = [("web.serve",), ("worker.tick",), ("worker.answers",), ("worker.app", "--queue", "light")]


def test_with_the_right_keys_it_may(settings: Settings, storage: Storage) -> None:
    storage.put("t/ten_1/a", [b"music"])

    starting.demand(settings)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("root_key", "said"),
    [("", "There is no root key"), (OTHER_ROOT, "The keys were wrapped with the root key")],
    ids=["none", "another"],
)
def test_a_missing_or_another_root_key_stops_every_process_that_has_files(
    settings: Settings, storage: Storage, program: tuple[str, ...], root_key: str, said: str
) -> None:
    storage.put("t/ten_1/a", [b"music"])
    environment = {**os.environ, **environment_of(dataclasses.replace(settings, root_key=root_key))}

    ran = subprocess.run(
        [sys.executable, "-m", *program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 1 and ran.stderr.startswith("Etude cannot start.\n")
    assert said in ran.stderr
    assert storage.get("t/ten_1/a") == b"music"


def test_another_key_store_stops_the_start(settings: Settings, storage: Storage, tmp_path: Path) -> None:
    storage.put("t/ten_1/a", [b"music"])

    with pytest.raises(SettingsWrong, match="put back the key store"):
        starting.demand(dataclasses.replace(settings, keys_url=f"sqlite:///{tmp_path}/new.db"))


# Each takes away what the role of the service has, where the tables are there and where it would have to make them.
WITHOUT_GRANTS = {
    "no schema": [f"REVOKE ALL ON SCHEMA etude_keys FROM {APP}"],
    "no tables": [f"REVOKE ALL ON ALL TABLES IN SCHEMA etude_keys FROM {APP}"],
    "nothing made": ["DROP SCHEMA etude_keys CASCADE", f'REVOKE CREATE ON DATABASE "{{database}}" FROM {APP}'],
}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statements", WITHOUT_GRANTS.values(), ids=WITHOUT_GRANTS)
def test_a_role_without_its_grants_on_the_key_store_stops_the_start(
    settings: Settings, owner_url: str, statements: list[str]
) -> None:
    engine = create_engine(owner_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as sql:
        for statement in statements:
            sql.exec_driver_sql(statement.format(database=engine.url.database))
    engine.dispose()

    with pytest.raises(SettingsWrong, match="may not use the key store, the schema etude_keys") as refused:
        starting.demand(settings)

    assert str(refused.value).startswith("Etude cannot start.\n") and "docs/operations.md" in str(refused.value)
    assert f"{APP}:{APP}@" not in str(refused.value)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_process_says_it_without_a_traceback(
    settings: Settings, owner_url: str, program: tuple[str, ...]
) -> None:
    engine = create_engine(owner_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as sql:
        sql.exec_driver_sql(f"REVOKE ALL ON SCHEMA etude_keys FROM {APP}")
    engine.dispose()
    environment = {**os.environ, **environment_of(settings)}

    ran = subprocess.run(
        [sys.executable, "-m", *program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 1 and ran.stderr.startswith("Etude cannot start.\n"), ran.stderr
    assert "Traceback" not in ran.stderr and "may not use the key store" in ran.stderr


def test_a_database_that_is_away_is_no_reason(settings: Settings) -> None:
    starting.demand(dataclasses.replace(settings, keys_url="postgresql+psycopg://nobody@127.0.0.1:9/none"))
