"""Sealed files in their places: what lies there opens for nobody else, and nothing else is taken for it."""

import dataclasses
import gc
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from shared import storage as places
from shared.errors import Damaged, Unavailable
from shared.sealing.key_tables import object_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.up import environment_of

MiB = 1024 * 1024
KEY, OTHER, THEIRS = "t/ten_1/datasets/ds_1/files/a", "t/ten_1/datasets/ds_1/files/b", "t/ten_2/datasets/ds_1/files/a"
SIZE = 3 * MiB + 5


@pytest.fixture
def folder(settings: Settings) -> Path:
    return Path(settings.storage_url.removeprefix("file://"))


@pytest.fixture
def content(storage: Storage) -> bytes:
    made = os.urandom(SIZE)
    storage.put(KEY, [made])
    return made


def change(at: Callable[[bytes], bytes]) -> Callable[[Path, Storage], None]:
    return lambda folder, _: (folder / KEY).write_bytes(at((folder / KEY).read_bytes())) and None


def flip(place: int) -> Callable[[Path, Storage], None]:
    return change(lambda sealed: sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])


def put_in_place(key: str) -> Callable[[Path, Storage], None]:
    def replace(folder: Path, storage: Storage) -> None:
        storage.put(key, [os.urandom(SIZE)])
        (folder / KEY).write_bytes((folder / key).read_bytes())

    return replace


def forget_key(_: Path, storage: Storage) -> None:
    """As somebody would who wanted what lies there to be read as it is."""
    with storage.open_keys().transaction() as sql:
        sql.execute(delete(object_keys).where(object_keys.c.place == KEY))


def plant(folder: Path, storage: Storage) -> None:
    forget_key(folder, storage)
    (folder / KEY).write_bytes(b"a lie")


def rename_key(_: Path, storage: Storage) -> None:
    with storage.open_keys().transaction() as sql:
        sql.execute(update(object_keys).where(object_keys.c.place == KEY).values(id="ok_another"))


TAMPERED: dict[str, Callable[[Path, Storage], None]] = {
    "a bit of the header": flip(3),
    "a bit of the body": flip(2 * MiB),
    "a bit of a tag": flip(MiB - 1),
    "cut at a segment's edge": change(lambda sealed: sealed[: 2 * MiB]),
    "the last segment dropped": change(lambda sealed: sealed[: 3 * MiB]),
    "segments swapped": change(
        lambda sealed: sealed[:MiB] + sealed[2 * MiB : 3 * MiB] + sealed[MiB : 2 * MiB] + sealed[3 * MiB :]
    ),
    "bytes appended": change(lambda sealed: sealed + b"more"),
    "another object's": put_in_place(OTHER),
    "another tenant's": put_in_place(THEIRS),
    "another key id": rename_key,
    "no key": forget_key,
    "planted": plant,
    "plain text in its place": change(lambda sealed: b"a lie"),
    "empty": change(lambda sealed: b""),
}


@pytest.mark.hostile("H58")
@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_was_tampered_with_is_refused_whole_and_in_parts(
    storage: Storage, settings: Settings, folder: Path, content: bytes, tmp_path: Path, what: str
) -> None:
    TAMPERED[what](folder, storage)
    fresh = Storage(settings)

    for read in (
        lambda: fresh.get(KEY),
        lambda: fresh.fetch(KEY, tmp_path / "copy"),
        lambda: list(fresh.stream(KEY, start=0, length=SIZE)),
    ):
        with pytest.raises(Damaged) as refused:
            read()
        assert refused.value.code == "integrity" and "restore it" in refused.value.detail


def test_a_reader_is_told_midway_and_has_got_nothing_but_what_was_sealed(
    storage: Storage, folder: Path, content: bytes
) -> None:
    flip(2 * MiB)(folder, storage)
    got: list[bytes] = []

    with pytest.raises(Damaged):
        got.extend(storage.stream(KEY))

    assert content.startswith(b"".join(got)) and len(b"".join(got)) < SIZE


@pytest.mark.parametrize("start", [0, 1, MiB - 57, MiB - 56, MiB - 55, 2 * MiB, SIZE - 1])
@pytest.mark.parametrize("length", [1, 100, MiB, SIZE, None])
def test_any_part_is_read_as_it_was(storage: Storage, content: bytes, start: int, length: int | None) -> None:
    read = b"".join(storage.stream(KEY, start=start, length=length))

    assert read == content[start : None if length is None else start + length]


def test_nothing_is_read_beyond_the_end(storage: Storage, content: bytes) -> None:
    assert b"".join(storage.stream(KEY, start=SIZE, length=10)) == b""
    assert list(storage.stream(KEY, start=5, length=0)) == []


def test_an_empty_file_is_sealed_like_any_other(storage: Storage, folder: Path) -> None:
    storage.put(KEY, [])

    assert storage.get(KEY) == b"" and (folder / KEY).stat().st_size == 56


def test_what_is_written_again_is_read_again_and_told_of_as_it_was(storage: Storage, settings: Settings) -> None:
    other = Storage(settings)
    storage.put(KEY, [b"first"])
    assert other.get(KEY) == b"first"

    stored = storage.put(KEY, [b"second"])

    assert other.get(KEY) == storage.get(KEY) == b"second" and stored.size_bytes == 6


def test_the_same_content_lies_there_as_something_else_each_time(storage: Storage, folder: Path) -> None:
    for key in (KEY, OTHER, THEIRS):
        storage.put(key, [b"the same music"])

    assert len({(folder / key).read_bytes() for key in (KEY, OTHER, THEIRS)}) == 3
    assert not any(b"music" in (folder / key).read_bytes() for key in (KEY, OTHER, THEIRS))


def test_with_a_file_goes_its_key_even_if_a_copy_of_it_comes_back(
    storage: Storage, settings: Settings, folder: Path, content: bytes
) -> None:
    kept = (folder / KEY).read_bytes()

    storage.delete(KEY)
    with pytest.raises(Unavailable, match="missing"):
        storage.get(KEY)
    (folder / KEY).write_bytes(kept)

    with pytest.raises(Damaged):
        Storage(settings).get(KEY)


def test_with_a_folder_go_its_keys(storage: Storage, folder: Path, content: bytes) -> None:
    kept = (folder / KEY).read_bytes()
    storage.put(THEIRS, [b"stays"])

    assert storage.delete_folder(places.dataset_folder("ten_1", "ds_1")) == 1
    (folder / KEY).write_bytes(kept)

    with pytest.raises(Damaged):
        storage.get(KEY)
    assert storage.get(THEIRS) == b"stays"


DIES = """
import os, sys
from shared import settings, storage
from shared.sealing.key_store import KeyStore
def dies(*_, **__):
    os.kill(os.getpid(), 9)
place, verb, after = sys.argv[1:4]
of = {"KeyStore": KeyStore, "Objects": storage.Objects}[place]
inner = getattr(of, verb)
setattr(of, verb, dies if after == "before" else lambda *given, **named: (inner(*given, **named), dies()))
files = storage.Storage(settings.read())
getattr(files, sys.argv[4])(sys.argv[5], *([[b"new"]] if sys.argv[4] == "put" else []))
"""


def die(settings: Settings, *arguments: str) -> None:
    environment = {**os.environ, **environment_of(settings)}
    assert subprocess.run([sys.executable, "-c", DIES, *arguments], env=environment, check=False).returncode == -9


@pytest.mark.parametrize(
    "where", [("KeyStore", "make_all", "after"), ("Objects", "put", "after"), ("KeyStore", "say_all_written", "before")]
)
def test_a_crash_while_writing_leaves_no_file_without_a_key_and_its_key_is_swept(
    storage: Storage, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]
) -> None:
    storage.put(OTHER, [b"stays"])
    die(settings, *where, "put", KEY)
    is_there = (folder / KEY).exists()

    with storage.open_keys().transaction() as sql:
        sql.execute(update(object_keys).values(created_at=object_keys.c.created_at - 2 * places.UNWRITTEN_S))
    storage.sweep()

    assert is_there == (where != ("KeyStore", "make_all", "after"))
    assert storage.get(OTHER) == b"stays"
    if is_there:
        assert storage.get(KEY) == b"new"
    else:
        assert storage.open_keys().find(KEY).is_destroyed


@pytest.mark.parametrize("where", [("KeyStore", "destroy", "after"), ("Objects", "delete", "after")])
def test_a_crash_while_deleting_leaves_nothing_readable_and_the_rest_is_swept(
    storage: Storage, settings: Settings, folder: Path, content: bytes, where: tuple[str, ...]
) -> None:
    die(settings, *where, "delete", KEY)
    with pytest.raises(Unavailable, match="missing"):
        Storage(settings).get(KEY)

    with storage.open_keys().transaction() as sql:
        sql.execute(update(object_keys).values(destroyed_at=object_keys.c.destroyed_at - 2 * places.DEAD_S))
    fresh = Storage(settings)
    fresh.sweep()

    assert not (folder / KEY).exists()
    with fresh.open_keys().reading() as sql:
        assert sql.execute(object_keys.select()).all() == []


def test_a_file_that_is_erased_while_it_is_written_is_not_there_afterwards(storage: Storage, folder: Path) -> None:
    def blocks() -> object:
        yield b"x" * MiB
        # By somebody else: the store drives this thread just now.
        erasing = threading.Thread(target=storage.delete_folder, args=[places.dataset_folder("ten_1", "ds_1")])
        erasing.start()
        erasing.join()
        yield b"y" * MiB

    with pytest.raises(Unavailable) as refused:
        storage.put(KEY, blocks())  # type: ignore[arg-type]

    assert refused.value.code == "file_missing" and not (folder / KEY).exists()


def test_a_lost_key_store_is_told_and_nothing_is_begun_beside_the_files(
    storage: Storage, settings: Settings, content: bytes
) -> None:
    empty = dataclasses.replace(settings, keys_url=f"sqlite:///{settings.home}/other.db")

    with pytest.raises(Unavailable, match="put back the key store") as refused:
        Storage(empty).get(KEY)

    assert refused.value.code == "keys_wrong"
    assert storage.get(KEY) == content


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_large_file_takes_no_more_memory_than_a_small_one(storage: Storage) -> None:
    def pass_through(size_mib: int) -> int:
        block = bytes(MiB)
        storage.put(KEY, (block for _ in range(size_mib)))
        assert sum(len(each) for each in storage.stream(KEY)) == size_mib * MiB
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    small = pass_through(64)
    large = pass_through(512)

    assert large - small < 100 * 1024


def test_files_stored_together_are_sealed_each_by_its_own_key(storage: Storage) -> None:
    stored = storage.put_all([("t/ten_1/a", [b"one"]), ("t/ten_1/b", [b"two", b"2"]), ("t/ten_1/c", [])])
    assert [each.size_bytes for each in stored] == [3, 4, 0]
    assert [storage.get(f"t/ten_1/{name}") for name in "abc"] == [b"one", b"two2", b""]
    keys = [storage.open_keys().find(f"t/ten_1/{name}").key for name in "abc"]
    assert len({key.secret for key in keys if key is not None}) == 3


def test_of_files_stored_together_one_that_was_erased_meanwhile_is_not_there(storage: Storage) -> None:
    def erases() -> Iterator[bytes]:
        yield b"two"
        storage.open_keys().destroy("t/ten_1/a")

    with pytest.raises(Unavailable) as raised:
        storage.put_all([("t/ten_1/a", [b"one"]), ("t/ten_1/b", erases())])
    assert raised.value.code == "file_missing"
    assert [storage.objects.exists(f"t/ten_1/{name}") for name in "ab"] == [False, True]
