"""Files from before everything was sealed: readable by a list made once, sealed by a command; none is planted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import Damaged, Unavailable
from shared.sealing import old_files
from shared.settings import Settings
from shared.storage import Storage
from shared.up import environment_of

OLD = {f"t/ten_1/datasets/ds_1/files/{number}": f"a recording {number}".encode() * 50 for number in range(5)}


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_files, "SETTLE_S", 0.0)


@pytest.fixture
def folder(settings: Settings) -> Path:
    """A storage as an older version left it."""
    folder = Path(settings.storage_url.removeprefix("file://"))
    for key, content in OLD.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
    return folder


def test_they_stay_readable_whole_and_in_parts(folder: Path, storage: Storage) -> None:
    key, content = next(iter(OLD.items()))

    assert {key: storage.get(key) for key in OLD} == OLD
    assert b"".join(storage.stream(key, start=3, length=9)) == content[3:12]
    assert old_files.count(storage.open_keys()) == len(OLD)


def test_they_are_sealed_and_nothing_of_them_lies_open(folder: Path, storage: Storage, settings: Settings) -> None:
    assert list(old_files.seal_all(storage)) == list(OLD)

    assert {key: Storage(settings).get(key) for key in OLD} == OLD
    assert not any(b"a recording" in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert old_files.count(storage.open_keys()) == 0
    assert list(old_files.seal_all(storage)) == []


KILLED = """
import os, sys
from shared import settings, storage
from shared.sealing import old_files
from shared.sealing.key_store import KeyStore
old_files.SETTLE_S = 0.0
steps = 0
def dies_after(verb):
    def wrapped(*given, **named):
        global steps
        answer = verb(*given, **named)
        steps += 1
        if steps == int(sys.argv[1]):
            os.kill(os.getpid(), 9)
        return answer
    return wrapped
storage.Objects.put = dies_after(storage.Objects.put)
KeyStore.make_all, KeyStore.say_all_written = dies_after(KeyStore.make_all), dies_after(KeyStore.say_all_written)
list(old_files.seal_all(storage.Storage(settings.read())))
"""


@pytest.mark.parametrize("step", [1, 2, 6, 7, 8, 9, 10, 15])
def test_sealing_that_was_killed_at_any_step_is_readable_and_goes_on(
    folder: Path, settings: Settings, step: int
) -> None:
    environment = {**os.environ, **environment_of(settings)}
    ran = subprocess.run([sys.executable, "-c", KILLED, str(step)], env=environment, check=False)
    assert ran.returncode == -signal.SIGKILL

    in_between = {key: Storage(settings).get(key) for key in OLD}
    again = Storage(settings)
    list(old_files.seal_all(again))

    assert in_between == OLD == {key: Storage(settings).get(key) for key in OLD}
    assert old_files.count(again.open_keys()) == 0
    assert not any(b"a recording" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_one_that_was_deleted_by_hand_is_told_and_does_not_stop_the_others(folder: Path, storage: Storage) -> None:
    first = next(iter(OLD))
    storage.open_keys()
    (folder / first).unlink()

    list(old_files.seal_all(storage))

    assert old_files.count(storage.open_keys()) == 0
    with pytest.raises(Unavailable, match="missing"):
        storage.get(first)


def test_what_is_planted_later_is_not_read(folder: Path, storage: Storage) -> None:
    storage.open_keys()
    planted = "t/ten_1/datasets/ds_1/files/planted"
    (folder / planted).write_bytes(b"a lie")

    with pytest.raises(Damaged) as refused:
        storage.get(planted)
    assert refused.value.code == "integrity"


def test_once_sealed_a_file_is_never_read_as_it_lies_again(folder: Path, storage: Storage, settings: Settings) -> None:
    list(old_files.seal_all(storage))
    key = next(iter(OLD))
    (folder / key).write_bytes(OLD[key])

    with pytest.raises(Damaged):
        Storage(settings).get(key)


def test_one_that_is_written_anew_or_deleted_is_no_old_one_any_more(folder: Path, storage: Storage) -> None:
    first, second, *_ = OLD

    storage.put(first, [b"new"])
    storage.delete(second)
    (folder / second).write_bytes(OLD[second])

    assert storage.get(first) == b"new" and b"new" not in (folder / first).read_bytes()
    with pytest.raises(Damaged):
        storage.get(second)
    assert old_files.count(storage.open_keys()) == len(OLD) - 2
