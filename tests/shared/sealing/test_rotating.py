"""Keys under newer keys: no file is touched, readers go on, and whoever was killed goes on when it is said again."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from shared.sealing import rotating
from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import object_keys, store, tenant_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.up import environment_of
from tests.conftest import ROOT_KEY
from tests.shared.sealing.conftest import Open

NEW_ROOT = "cd" * 32
PLACES = [f"t/ten_{tenant}/jobs/job_1/1/files/{number}" for tenant in (1, 2) for number in range(6)]
# Says how far it is, and waits there to be killed; one row at a time.
SLOW = """
import sys, time
from shared import settings
from shared.sealing import rotating
from shared.storage import Storage
rotating.ROWS_AT_ONCE = 1
def told(count):
    print(count, flush=True)
    if count == int(sys.argv[2]):
        time.sleep(600)
keys = Storage(settings.read()).open_keys()
rotating.rotate_root(keys, told) if sys.argv[1] == "root" else rotating.rotate_tenant(keys, sys.argv[1], told)
"""


@pytest.fixture
def filled(storage: Storage) -> Storage:
    for place in PLACES:
        storage.put(place, [place.encode()])
    return storage


def files_of(settings: Settings) -> dict[str, bytes]:
    folder = Path(settings.storage_url.removeprefix("file://"))
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_all(settings: Settings) -> bool:
    fresh = Storage(settings)
    return all(fresh.get(place) == place.encode() for place in PLACES)


def kill_at(settings: Settings, what: str, count: int) -> None:
    environment = {**os.environ, **environment_of(settings)}
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, what, str(count)], env=environment, stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        while int(run.stdout.readline()) != count:
            pass
        run.send_signal(signal.SIGKILL)


def test_a_tenants_key_is_replaced_and_no_file_is_touched(filled: Storage, settings: Settings) -> None:
    keys, before = filled.open_keys(), files_of(settings)
    with keys.reading() as sql:
        old = sql.execute(select(tenant_keys).where(tenant_keys.c.tenant == "ten_1")).one()

    assert rotating.rotate_tenant(keys, "ten_1") == 6

    assert files_of(settings) == before and read_all(settings)
    with keys.reading() as sql:
        new = sql.execute(select(tenant_keys).where(tenant_keys.c.tenant == "ten_1")).one()
        assert set(sql.execute(select(object_keys.c.tenant_key)).scalars()) == {new.id, *_others(sql)}
    assert new.id != old.id and new.wrapped != old.wrapped


def _others(sql: object) -> set[str]:
    chosen = select(tenant_keys.c.id).where(tenant_keys.c.tenant != "ten_1")
    return set(sql.execute(chosen).scalars())  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_rotation_that_was_killed_is_readable_and_goes_on(filled: Storage, settings: Settings, count: int) -> None:
    kill_at(settings, "ten_1", count)
    in_between = read_all(settings)
    Storage(settings).put("t/ten_1/jobs/job_1/1/files/new", [b"new"])

    keys = Storage(settings).open_keys()
    left = rotating.rotate_tenant(keys, "ten_1")

    assert in_between and read_all(settings) and left == 6 - count
    with keys.reading() as sql:
        assert len(sql.execute(select(tenant_keys).where(tenant_keys.c.tenant == "ten_1")).all()) == 1


def test_what_is_written_with_the_old_key_meanwhile_is_taken_along(
    filled: Storage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = filled.open_keys()
    drop, late = rotating._has_dropped_old, []

    def write_late(store: KeyStore, tenant: str) -> bool:
        if not late:
            late.append(True)
            with store.transaction() as sql:
                old = sql.execute(select(tenant_keys.c.id).where(tenant_keys.c.tenant == tenant)).scalars().all()
                newest = sql.execute(select(object_keys.c.tenant_key).limit(1)).scalar_one()
                row = sql.execute(select(object_keys).where(object_keys.c.place == PLACES[0])).one()
                assert {newest, row.tenant_key} <= {*old, *_others(sql)} and len(old) == 2
                # As a process that read the older key a moment ago.
                (older,) = set(old) - {row.tenant_key}
                sql.execute(
                    object_keys.update()
                    .where(object_keys.c.place == PLACES[0])
                    .values(tenant_key=older, wrapped=wrap_under(store, older, PLACES[0]))
                )
        return drop(store, tenant)

    monkeypatch.setattr(rotating, "_has_dropped_old", write_late)
    assert rotating.rotate_tenant(keys, "ten_1") == 7

    assert read_all(settings)


def wrap_under(keys: KeyStore, tenant_key: str, place: str) -> bytes:
    from shared.sealing import key_rows

    with keys.reading() as sql:
        above = sql.execute(select(tenant_keys).where(tenant_keys.c.id == tenant_key)).one()
        row = sql.execute(key_rows.joined().where(object_keys.c.place == place)).one()
    secret = key_rows.open_tenant_key(keys.roots, above.id, above.tenant, above.root, above.wrapped)
    return key_rows.rewrap(row, keys.roots, secret)


def test_the_root_key_is_replaced_while_both_are_good(filled: Storage, settings: Settings, open_store: Open) -> None:
    before = files_of(settings)
    both = dataclasses.replace(settings, root_key=f"{NEW_ROOT},{ROOT_KEY}")
    new = dataclasses.replace(settings, root_key=NEW_ROOT)

    assert read_all(both)
    assert rotating.rotate_root(open_store(both)) == 2

    assert files_of(settings) == before
    assert read_all(both) and read_all(new)
    assert rotating.rotate_root(open_store(new)) == 0


def test_a_rotation_of_the_root_that_was_killed_goes_on(filled: Storage, settings: Settings, open_store: Open) -> None:
    both = dataclasses.replace(settings, root_key=f"{NEW_ROOT},{ROOT_KEY}")

    kill_at(both, "root", 1)
    assert read_all(both)
    keys = open_store(both)
    rotating.rotate_root(keys)

    assert read_all(dataclasses.replace(settings, root_key=NEW_ROOT))
    with keys.reading() as sql:
        roots = {*sql.execute(select(tenant_keys.c.root)).scalars(), *sql.execute(select(store.c.root)).scalars()}
    assert roots == {keys.roots.primary}


def run(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **environment_of(settings)}
    command = [sys.executable, "-m", "shared.sealing", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_says_what_it_did(filled: Storage, settings: Settings) -> None:
    both = dataclasses.replace(settings, root_key=f"{NEW_ROOT},{ROOT_KEY}")

    of_all, of_one = run(settings, "rotate", "--tenant", "all"), run(settings, "rotate", "--tenant", "ten_1")
    nobody, root = run(settings, "rotate", "--tenant", "ten_9"), run(both, "rotate", "--root")
    old, sealed = run(settings, "rotate", "--root"), run(both, "seal")

    assert of_all.stdout == "12 keys of files were wrapped anew, of 2 tenants.\n"
    assert of_one.stdout == "6 keys of files were wrapped anew, of 1 tenants.\n"
    assert (nobody.returncode, nobody.stderr) == (1, "No tenant ten_9 has a key.\n")
    assert "2 keys of tenants were wrapped anew" in root.stdout and "take it out of the settings" in root.stdout
    assert old.returncode == 1 and "The keys were wrapped with the root key" in old.stderr
    assert sealed.stdout == "0 files and 0 rows are sealed; 0 still lie open.\n"
    assert read_all(both)
