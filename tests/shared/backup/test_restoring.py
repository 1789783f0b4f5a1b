"""A backup comes back as it was, out of either database into either; or nothing of it is written."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from migrations.upgrade import upgrade
from shared import recovery
from shared.backup import Refused, keys, schema
from shared.backup.restoring import restore
from shared.backup.saving import save
from shared.database import Database
from shared.errors import Damaged, Unavailable
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import attempts, metadata
from shared.tenancy import EVERYONE
from tests.factories import claim, make_job
from tests.shared.backup.filling import ROWS, content, files_of, into_sqlite, on_sqlite, tables_of


def test_everything_comes_back_as_it_was_in_either_database(
    settings: Settings, saved: Path, elsewhere: Settings
) -> None:
    restored = restore(elsewhere, saved)

    assert restored.rows == dict.fromkeys(metadata.tables, ROWS)
    assert content(elsewhere) == content(settings)
    named = {
        "t/ten/parts/2",
        "t/ten/checkpoint/2",
        *(f"t/ten/{name}/{n}" for name in ("key", "files") for n in (0, 1, 2)),
    }
    assert files_of(elsewhere) == {key: key.encode() for key in named}
    assert restored.files == len(named)
    upgrade(elsewhere.database_url)


def test_what_ran_comes_back_as_lost_at_once(
    settings: Settings, database: Database, tenant: str, folder: Path, elsewhere: Settings
) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        claim(sql, lease_s=3600.0)
    save(settings, folder)

    restore(elsewhere, folder)
    restored = Database(elsewhere, whose=EVERYONE)
    with restored.transaction() as sql:
        again, once_more = recovery.reap(sql), recovery.reap(sql)

    assert (again, once_more) == (["train"], [])
    with restored.transaction() as sql:
        assert sql.execute(select(attempts.c.outcome)).scalars().all() == ["lost"]
        assert claim(sql).attempt == 2
    restored.close()


def test_a_backup_of_an_older_schema_ends_in_the_newest(settings: Settings, elsewhere: Settings, folder: Path) -> None:
    old = dataclasses.replace(settings, database_url=f"sqlite:///{folder.parent}/old.db")
    upgrade(old.database_url, "0001")
    engine = create_engine(old.database_url)
    with engine.begin() as sql:
        sql.exec_driver_sql("INSERT INTO tenants (id, name, created_at) VALUES ('ten_1', 'old', 1.5)")
    engine.dispose()
    # As compose leaves a new database before its first start.
    elsewhere.home.mkdir()
    upgrade(elsewhere.database_url)

    made = save(old, folder)
    restore(elsewhere, folder)

    assert made.revision == "0001"
    assert [row[:4] for row in content(elsewhere)["tenants"]] == [("ten_1", "old", 1.5, 0.0)]


def rewrite(**change: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        said = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**said, **change}))

    return damage


def overwrite(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(b"rot" + (folder / name).read_bytes()[3:])

    return damage


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def point_outside(folder: Path) -> None:
    """What somebody would send who wanted a file of ours overwritten."""
    engine = create_engine(f"sqlite:///{folder}/etude.db")
    with engine.begin() as sql:
        sql.exec_driver_sql("UPDATE outputs SET key = 't/../../../etc/passwd' WHERE job = 'id-0'")
    engine.dispose()
    rewrite(sha256=hashlib.sha256((folder / "etude.db").read_bytes()).hexdigest())(folder)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "unfinished": (remove("manifest.json"), "There is no manifest.json"),
    "no manifest": (overwrite("manifest.json"), "is damaged: it is no JSON"),
    "half a manifest": (rewrite(rows="many"), "is damaged: .*rows"),
    "newer format": (rewrite(format=3), "has format 3; this version reads format 2"),
    "newer revision": (rewrite(revision="9999"), "has revision 9999, which this version does not know"),
    "no database": (remove("etude.db"), "etude.db is missing"),
    "damaged database": (overwrite("etude.db"), "etude.db is not what was written"),
    "no file": (remove("storage/t/ten/key/1"), "t/ten/key/1 is missing"),
    "damaged file": (overwrite("storage/t/ten/key/1"), "t/ten/key/1 is not what was written"),
    "damaged checkpoint": (overwrite("storage/t/ten/checkpoint/2"), "t/ten/checkpoint/2 is not what was written"),
    "hostile": (point_outside, "which is no place in the storage"),
}


@into_sqlite
@on_sqlite
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(
    saved: Path, elsewhere: Settings, damage: str
) -> None:
    break_it, said = DAMAGES[damage]
    break_it(saved)

    with pytest.raises(Refused) as refused:
        restore(elsewhere, saved)

    assert re.search(f"(?s){said}", str(refused.value))
    assert not elsewhere.home.exists()


@on_sqlite
def test_a_database_that_has_rows_is_left_alone(saved: Path, elsewhere: Settings) -> None:
    elsewhere.home.mkdir()
    upgrade(elsewhere.database_url)
    engine = create_engine(elsewhere.database_url)
    with engine.begin() as sql:
        sql.exec_driver_sql("INSERT INTO tenants (id, name, created_at) VALUES ('ten_mine', 'mine', 0.0)")
    engine.dispose()

    with pytest.raises(Refused, match="has rows already, in the table tenants"):
        restore(elsewhere, saved)

    assert [row[0] for row in content(elsewhere)["tenants"]] == ["ten_mine"]
    assert files_of(elsewhere) == {}


@on_sqlite
@pytest.mark.parametrize("key", ["t/ten/key/strange", "t/ten/key/1"])
def test_a_storage_that_has_files_of_something_else_is_left_alone(saved: Path, elsewhere: Settings, key: str) -> None:
    elsewhere.home.mkdir()
    Storage(elsewhere).put(key, [b"mine"])

    with pytest.raises(Refused, match=f"has 1 files already that are not of this backup, such as {key}"):
        restore(elsewhere, saved)

    assert files_of(elsewhere) == {key: b"mine"}
    assert tables_of(elsewhere) == []


@on_sqlite
def test_a_restore_that_died_half_way_wrote_no_row_and_goes_on_when_it_is_said_again(
    settings: Settings, saved: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        # The last statement before the commit: every file and every row has been written.
        patch.setattr(schema, "upgrade", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        restore(elsewhere, saved)
    left = files_of(elsewhere)
    tables = tables_of(elsewhere)
    # Not by the service's own verb: that would erase it.
    (Path(elsewhere.storage_url.removeprefix("file://")) / "t/ten/key/1").unlink()

    restore(elsewhere, saved)

    assert (len(left), tables) == (8, [])
    assert content(elsewhere) == content(settings)
    assert files_of(elsewhere) == left


@pytest.fixture
def erased_since(settings: Settings, storage: Storage, saved: Path) -> str:
    """A file of the backup whose key was destroyed a day later."""
    storage.delete("t/ten/files/1")
    return "t/ten/files/1"


def test_what_was_erased_since_does_not_come_back_with_the_keys_of_today(
    settings: Settings, saved: Path, elsewhere: Settings, erased_since: str, tmp_path: Path
) -> None:
    keys.save(settings, tmp_path / "today")

    restored = restore(elsewhere, saved, keys_folder=tmp_path / "today")

    assert (saved / "storage" / erased_since).is_file() and erased_since in restored.gone
    assert erased_since not in files_of(elsewhere) and len(files_of(elsewhere)) == 7
    with pytest.raises(Unavailable, match="missing"):
        Storage(elsewhere).get(erased_since)


@on_sqlite
def test_the_very_bytes_of_the_backup_open_nowhere_once_their_key_is_destroyed(
    settings: Settings, saved: Path, erased_since: str
) -> None:
    old = (saved / "storage" / erased_since).read_bytes()
    place = Path(settings.storage_url.removeprefix("file://")) / erased_since
    place.write_bytes(old)

    with pytest.raises(Damaged):
        Storage(settings).get(erased_since)


@on_sqlite
def test_a_place_whose_keys_are_still_there_is_restored_with_these(
    settings: Settings, saved: Path, elsewhere: Settings, erased_since: str
) -> None:
    """The disk of the files was lost, and the key store was not."""
    survived = dataclasses.replace(elsewhere, keys_url=settings.keys_url)

    restored = restore(survived, saved)

    assert erased_since in restored.gone and len(files_of(survived)) == 7


@into_sqlite
@on_sqlite
def test_without_keys_nothing_is_restored(saved: Path, elsewhere: Settings, tmp_path: Path) -> None:
    (keys.beside(saved) / keys.KEYS).unlink()

    with pytest.raises(Refused, match=r"There are no keys in .*--keys"):
        restore(elsewhere, saved)

    assert not elsewhere.home.exists()


@into_sqlite
@on_sqlite
def test_keys_of_something_else_are_refused(settings: Settings, saved: Path, elsewhere: Settings) -> None:
    other = dataclasses.replace(settings, home=saved.parent / "other", storage_url=f"file://{saved.parent}/other/s",
                                keys_url=f"sqlite:///{saved.parent}/other/keys.db")  # fmt: skip
    Storage(other).put("t/ten/a", [b"another service's"])
    keys.save(other, saved.parent / "others")

    with pytest.raises(Refused, match="the backup was sealed by"):
        restore(elsewhere, saved, keys_folder=saved.parent / "others")

    assert not elsewhere.home.exists()


@into_sqlite
@on_sqlite
def test_another_root_key_is_told_before_anything_is_written(saved: Path, elsewhere: Settings) -> None:
    with pytest.raises(Refused, match="The keys were wrapped with the root key"):
        restore(dataclasses.replace(elsewhere, root_key="ab" * 32), saved)

    assert not elsewhere.home.exists()


@into_sqlite
@on_sqlite
def test_a_backup_from_before_everything_was_sealed_is_sealed_on_its_way(saved: Path, elsewhere: Settings) -> None:
    stored = {f"t/ten/{name}/{number}" for name in ("key", "files", "parts", "checkpoint") for number in range(3)}
    for key in stored:
        if (saved / "storage" / key).is_file():
            (saved / "storage" / key).write_bytes(key.encode())
    rewrite(format=1, sealed_by=None)(saved)

    restore(elsewhere, saved)

    found = files_of(elsewhere)
    assert len(found) == 8 and all(content == key.encode() for key, content in found.items())
    folder = Path(elsewhere.storage_url.removeprefix("file://"))
    assert not any(b"t/ten/" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_file_and_no_key_lies_open_in_a_backup(settings: Settings, storage: Storage, saved: Path) -> None:
    stored = [path for path in (saved / "storage").rglob("*") if path.is_file()]

    assert stored and not any(
        path.relative_to(saved / "storage").as_posix().encode() in path.read_bytes() for path in stored
    )
    kept = keys.beside(saved) / keys.KEYS
    opened = storage.open_keys()
    secrets = [opened.make("t/ten/files/1").secret, opened.store.secret, *opened.roots.by_id.values()]
    assert kept.stat().st_mode & 0o077 == 0 and not any(secret in kept.read_bytes() for secret in secrets)
