"""A backup is of one moment, whole and without secrets; one that would not be whole is not made."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert

from shared import datasets, keys
from shared.backup import Refused, rows
from shared.backup.restoring import restore
from shared.backup.saving import save
from shared.database import Database, now
from shared.settings import Settings
from shared.storage import Storage, dataset_folder
from shared.tables import tenants
from tests.factories import make_dataset
from tests.shared.backup.filling import files_of, fill, into_sqlite, on_sqlite


def test_a_backup_is_of_one_moment_and_holds_up_no_writer(
    settings: Settings, database: Database, tenant: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(*given: Any) -> dict[str, int]:
        with database.transaction() as sql:
            sql.execute(insert(tenants).values(id="ten_late", name="late", created_at=now()))
        return copy(*given)

    copy = rows.copy
    monkeypatch.setattr(rows, "copy", write_meanwhile)
    made = save(settings, folder)

    assert made.rows["tenants"] == 1


def test_no_secret_is_in_it(settings: Settings, database: Database, tenant: str, folder: Path) -> None:
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="a key", scope=keys.ADMIN, pepper=settings.pepper)
    guarded = dataclasses.replace(settings, redis_url="redis://:a-password@nowhere")

    save(guarded, folder)

    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert tenant.encode() in everything
    for secret in (settings.pepper, key.split("_")[2], "a-password", "a key"):
        assert secret.encode() not in everything
    assert folder.stat().st_mode & 0o077 == 0


def test_a_checkpoint_that_was_swept_meanwhile_is_done_without(
    settings: Settings, database: Database, storage: Storage, folder: Path, elsewhere: Settings
) -> None:
    fill(database, storage)
    storage.delete("t/ten/checkpoint/2")

    made = save(settings, folder)
    restore(elsewhere, folder)

    assert made.gone == ["t/ten/checkpoint/2"]
    assert "t/ten/checkpoint/2" not in files_of(elsewhere)


def test_a_dataset_that_is_erased_meanwhile_is_erased_in_it_too(
    settings: Settings,
    database: Database,
    storage: Storage,
    tenant: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("first", "second"):
        key = f"{dataset_folder(tenant, name)}parts/0"
        stored = storage.put(key, [name.encode()])
        with database.transaction() as sql:
            make_dataset(sql, tenant, id=name, parts=[{"name": name, "key": key, "sha256": stored.sha256}])
    fetched: list[str] = []

    def erase_and_fetch(self: Storage, key: str, path: Path) -> Path:
        fetched.append(key)
        # At the second file, when the first has been copied: both are gone, one with its copy, one without.
        for name in ("first", "second") if len(fetched) == 2 else ():
            with database.transaction() as sql:
                datasets.erase(sql, tenant, name)
            storage.delete_folder(dataset_folder(tenant, name))
        return fetch(self, key, path)

    fetch = Storage.fetch_sealed
    monkeypatch.setattr(Storage, "fetch_sealed", erase_and_fetch)
    made = save(settings, folder)

    assert made.files == 0
    assert [path for path in (folder / "storage").rglob("*") if path.is_file()] == []
    engine = create_engine(f"sqlite:///{folder}/etude.db")
    with engine.connect() as sql:
        assert sql.exec_driver_sql("SELECT DISTINCT state FROM datasets").scalars().all() == ["erased"]
    engine.dispose()


@pytest.mark.parametrize(("damage", "said"), [(None, "is missing"), ([b"rot"], "is not what was written")])
def test_a_stored_file_that_is_not_as_its_row_says_is_named_and_there_is_no_backup(
    settings: Settings, database: Database, storage: Storage, folder: Path, damage: list[bytes] | None, said: str
) -> None:
    fill(database, storage)
    storage.delete("t/ten/files/1") if damage is None else storage.put("t/ten/files/1", damage)

    with pytest.raises(Refused, match=f"t/ten/files/1 {said}"):
        save(settings, folder)

    assert not (folder / "manifest.json").exists()


@on_sqlite
def test_a_folder_that_is_not_empty_is_left_alone(settings: Settings, tenant: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine").touch()

    with pytest.raises(Refused, match="is not empty"):
        save(settings, folder)

    assert [path.name for path in folder.iterdir()] == ["mine"]


@into_sqlite
@on_sqlite
def test_a_place_without_a_database_is_named_and_none_is_made(elsewhere: Settings, folder: Path) -> None:
    with pytest.raises(Refused, match="There is no database at"):
        save(elsewhere, folder)

    assert not (elsewhere.home / "etude.db").exists()


def test_a_database_that_is_not_ours_is_refused(elsewhere: Settings, folder: Path) -> None:
    elsewhere.home.mkdir()
    (elsewhere.home / "etude.db").touch()

    with pytest.raises(Refused, match="has no tables of Etude"):
        save(elsewhere, folder)


@on_sqlite
def test_the_keys_are_kept_apart(settings: Settings, database: Database, storage: Storage, folder: Path) -> None:
    fill(database, storage)

    with pytest.raises(Refused, match="keep the keys apart"):
        save(settings, folder, keys_folder=folder / "keys")
    save(settings, folder, keys_folder=folder.parent / "elsewhere" / "keys")

    assert [path.name for path in (folder.parent / "elsewhere" / "keys").iterdir()] == ["keys.db"]
    assert {path.name for path in folder.iterdir()} == {"etude.db", "storage", "manifest.json"}
