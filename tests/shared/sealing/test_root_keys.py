"""The root key: where it is read from, and every sentence that refuses it."""

import stat
from pathlib import Path

import pytest

from shared.sealing import root_keys
from shared.settings import Settings, SettingsWrong, read

KEY, OLDER = "0123456789abcdef" * 4, "f" * 64


def given(tmp_path: Path, **more: str) -> Settings:
    return read({"ETUDE_HOME": str(tmp_path), **{f"ETUDE_{name}": value for name, value in more.items()}})


def test_it_is_read_from_a_setting_or_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)

    of_setting = root_keys.read(given(tmp_path, ROOT_KEY=KEY))
    of_file = root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(path)))

    assert of_setting == of_file and list(of_setting.by_id.values()) == [bytes.fromhex(KEY)]


def test_of_two_the_first_is_the_one_that_wraps(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n{OLDER}\n")
    path.chmod(0o600)

    for keys in (
        root_keys.read(given(tmp_path, ROOT_KEY=f"{KEY},{OLDER}")),
        root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(path))),
    ):
        assert keys.by_id[keys.primary] == bytes.fromhex(KEY) and len(keys.by_id) == 2


def test_its_name_tells_nothing_of_it(tmp_path: Path) -> None:
    assert root_keys.read(given(tmp_path, ROOT_KEY=KEY)).primary not in KEY


@pytest.mark.parametrize("value", [KEY[:-1], KEY + "0", "g" * 64, "secret", f"{KEY},x", ","])
def test_a_wrong_one_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsWrong, match="ETUDE_ROOT_KEY: expected") as refused:
        root_keys.read(given(tmp_path, ROOT_KEY=value))

    assert value == "," or value.strip(",") not in str(refused.value)


def test_a_missing_one_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsWrong, match=r"There is no root key.*openssl rand -hex 32"):
        root_keys.read(given(tmp_path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)

    with pytest.raises(SettingsWrong, match=f"can be read by others .mode {mode:o}.: chmod 600"):
        root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(path)))


@pytest.mark.parametrize("content", [b"", b"\n", KEY.encode()[:-2]])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(SettingsWrong, match=r"ETUDE_ROOT_KEY_FILE .*: expected"):
        root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(path)))


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff" * 32)])
def test_what_cannot_be_read_is_told(tmp_path: Path, make: object) -> None:
    make(tmp_path / "key")  # type: ignore[operator]

    with pytest.raises(SettingsWrong, match="cannot be read"):
        root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(tmp_path / "key")))


def test_the_embedded_modes_own_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "root.key"

    root_keys.make_once(path)
    first = path.read_text()
    root_keys.make_once(path)

    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert root_keys.read(given(tmp_path, ROOT_KEY_FILE=str(path))).by_id


def test_where_none_can_be_put_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(SettingsWrong, match="No root key can be put to "):
        root_keys.make_once(tmp_path / "file" / "root.key")


def test_settings_do_not_show_it(tmp_path: Path) -> None:
    assert KEY not in repr(given(tmp_path, ROOT_KEY=KEY))
