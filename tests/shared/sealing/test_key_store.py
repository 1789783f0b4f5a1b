"""Keys: made once, found by many, bound to their place, and gone everywhere once they are destroyed."""

import dataclasses
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, update

from shared.errors import Damaged, Unavailable
from shared.sealing import key_store
from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import object_keys, plain_files, store, tenant_keys
from shared.settings import Settings
from shared.up import environment_of
from tests.shared.sealing.conftest import Open

A, B = "t/ten_1/jobs/job_1/1/files/a", "t/ten_2/jobs/job_1/1/files/a"
OTHER_ROOT = "ab" * 32
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_place_keeps_its_key_and_every_place_has_another(keys: KeyStore, open_store: Open) -> None:
    first, again, other = keys.make(A), open_store().make(A), keys.make(B)

    assert first == again
    assert first.secret != other.secret and first.bound != other.bound
    assert keys.find(A).key == first


def test_no_key_lies_open_in_the_store(keys: KeyStore) -> None:
    made = keys.make(A)

    with keys.reading() as sql:
        rows = [*sql.execute(select(object_keys)), *sql.execute(select(tenant_keys)), *sql.execute(select(store))]
    kept = b"".join(bytes(value) for row in rows for value in row if isinstance(value, bytes | memoryview))
    secrets = [made.secret, keys.store.secret, *keys.roots.by_id.values()]
    assert kept and not any(secret in kept for secret in secrets)


def test_an_unknown_place_is_neither_sealed_nor_plain(keys: KeyStore) -> None:
    found = keys.find(A)

    assert (found.key, found.is_plain, found.is_destroyed) == (None, False, False)


@on_sqlite
def test_a_store_that_is_opened_twice_in_a_process_loses_nothing_when_another_process_closes_it(
    keys: KeyStore, open_store: Open, settings: Settings
) -> None:
    """Who closes SQLite's file by himself gives up the locks of all his connections, and then the log is deleted."""
    keys.make(A)
    open_store()
    script = "from shared import settings, storage; storage.Storage(settings.read()).open_keys().close()"
    environment = {**os.environ, **environment_of(settings)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)

    made = keys.make(B)

    assert open_store().find(B).key == made


def test_many_threads_and_processes_make_one_key_for_a_place(keys: KeyStore, settings: Settings) -> None:
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(keys.make(A).secret)) for _ in range(8)]
    script = f"from shared import settings, storage; storage.Storage(settings.read()).open_keys().make({A!r})"
    environment = {**os.environ, **environment_of(settings)}
    processes = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(3)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0, 0]

    with keys.reading() as sql:
        assert len(sql.execute(select(tenant_keys).where(tenant_keys.c.tenant == "ten_1")).all()) == 1
    assert len(made) == 8 and set(made) == {keys.make(A).secret}


def test_a_forked_child_has_connections_of_its_own(keys: KeyStore) -> None:
    made = keys.make(A)
    keys.say_written(made)
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:
        # Whatever happens here must not come back into the test.
        try:
            with keys._lock:
                keys._cache.clear()
            os.write(writer, b"1" if keys.find(A).key is not None and keys.make(B) else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reader, 1)
    os.close(reader)
    os.close(writer)

    assert said == b"1"
    assert [keys.make(A).secret, keys.find(A).key is not None] == [made.secret, True]


def test_a_child_that_is_forked_while_the_lock_is_held_is_not_stuck(keys: KeyStore) -> None:
    keys.make(A)

    with keys._lock:
        child = os.fork()
        if child == 0:
            try:
                keys.find(A)
            finally:
                os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_destroyed_key_is_gone_at_once_here_and_soon_elsewhere(
    keys: KeyStore, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = open_store()
    keys.say_written(keys.make(A))
    assert elsewhere.find(A).key is not None
    clock = key_store.time.monotonic()

    assert keys.destroy(A) == 1

    assert keys.find(A).is_destroyed
    monkeypatch.setattr(key_store.time, "monotonic", lambda: clock + key_store.CACHED_S + 1)
    assert elsewhere.find(A).is_destroyed and elsewhere._cache == {}


def test_the_cache_is_bounded(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_store, "CACHED_AT_MOST", 3)

    for number in range(9):
        keys.say_written(keys.make(f"t/ten_1/{number}"))

    assert len(keys._cache) == 3


def test_a_folder_is_destroyed_in_one_call_and_its_neighbours_stay(keys: KeyStore) -> None:
    inside = ["t/ten_1/jobs/job_1/1/a", "t/ten_1/jobs/job_1/2/é", "t/ten_1/jobs/job_1/2/\U0001f3b5"]
    outside = ["t/ten_1/jobs/job_10/1/a", "t/ten_1/jobs/job_1", "t/ten_1/jobs/JOB_1/1/a", "t/ten_1/jobs/job_0/1/a"]
    for place in inside + outside:
        keys.say_written(keys.make(place))

    assert keys.destroy("t/ten_1/jobs/job_1/") == len(inside)

    assert all(keys.find(place).is_destroyed for place in inside)
    assert all(keys.find(place).key for place in outside)


def test_with_a_tenant_goes_the_tenants_key(keys: KeyStore) -> None:
    for place in (A, B):
        keys.make(place)

    keys.destroy("t/ten_1/")

    with keys.reading() as sql:
        assert sql.execute(select(tenant_keys.c.tenant)).scalars().all() == ["ten_2"]
    assert keys.find(A).is_destroyed and keys.find(B).key


@on_sqlite
def test_of_a_destroyed_key_no_byte_is_left_in_the_store(keys: KeyStore, settings: Settings) -> None:
    keys.make(A)
    with keys.reading() as sql:
        wrapped = sql.execute(select(object_keys.c.wrapped)).scalar_one()
    files = [Path(settings.keys_url.removeprefix("sqlite:///") + suffix) for suffix in ("", "-wal")]
    before = b"".join(path.read_bytes() for path in files if path.exists())

    keys.destroy(A)

    after = b"".join(path.read_bytes() for path in files if path.exists())
    assert wrapped in before and wrapped not in after


@on_sqlite
def test_the_store_is_its_users_alone(keys: KeyStore, settings: Settings) -> None:
    keys.make(A)

    for suffix in ("", "-wal", "-shm"):
        path = Path(settings.keys_url.removeprefix("sqlite:///") + suffix)
        assert path.stat().st_mode & 0o077 == 0


def swap_keys(keys: KeyStore) -> None:
    with keys.transaction() as sql:
        rows = {row.place: row for row in sql.execute(select(object_keys))}
        for place, other in ((A, B), (B, A)):
            values = {name: getattr(rows[other], name) for name in ("id", "tenant_key", "wrapped")}
            sql.execute(update(object_keys).where(object_keys.c.place == place).values(values))


def rename_key(keys: KeyStore) -> None:
    with keys.transaction() as sql:
        sql.execute(update(object_keys).where(object_keys.c.place == A).values(id="ok_another"))


def give_to_another(keys: KeyStore) -> None:
    with keys.transaction() as sql:
        sql.execute(update(tenant_keys).where(tenant_keys.c.tenant == "ten_1").values(tenant="ten_3"))


def damage_key(keys: KeyStore) -> None:
    with keys.transaction() as sql:
        wrapped = bytearray(sql.execute(select(object_keys.c.wrapped).where(object_keys.c.place == A)).scalar_one())
        wrapped[20] ^= 1
        sql.execute(update(object_keys).where(object_keys.c.place == A).values(wrapped=bytes(wrapped)))


@pytest.mark.hostile("H58")
@pytest.mark.parametrize("tamper", [swap_keys, rename_key, give_to_another, damage_key])
def test_a_key_that_was_moved_or_changed_is_refused(keys: KeyStore, open_store: Open, tamper: object) -> None:
    for place in (A, B):
        keys.say_written(keys.make(place))

    tamper(keys)  # type: ignore[operator]

    fresh = open_store()
    for use in (fresh.find, fresh.make):
        with pytest.raises(Damaged) as refused:
            use(A)
        assert refused.value.code == "integrity"


def test_an_entry_of_the_list_of_plain_files_cannot_be_planted(open_store: Open) -> None:
    keys = open_store(plain=("t/ten_1/old",))
    with keys.transaction() as sql:
        mac = sql.execute(select(plain_files.c.mac)).scalar_one()
        sql.execute(plain_files.insert().values(place=A, mac=mac))

    assert keys.find("t/ten_1/old").is_plain
    with pytest.raises(Damaged):
        keys.find(A)


def test_another_root_key_is_told_and_harms_nothing(keys: KeyStore, open_store: Open, settings: Settings) -> None:
    made = keys.make(A)
    wrong = dataclasses.replace(settings, root_key=OTHER_ROOT)

    with pytest.raises(Unavailable, match="The keys were wrapped with the root key") as refused:
        open_store(wrong)

    assert refused.value.code == "keys_wrong"
    assert open_store().make(A) == made


def test_a_store_that_is_not_the_files_own_is_told_and_none_is_begun(settings: Settings) -> None:
    empty = KeyStore(settings)

    with pytest.raises(Unavailable, match="sealed with the keys of the store ks_theirs") as refused:
        empty.open(list, lambda: "ks_theirs")

    assert refused.value.code == "keys_wrong"
    with empty.reading() as sql:
        assert sql.execute(select(store.c.id)).all() == []
    empty.close()
