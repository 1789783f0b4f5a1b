"""The settings: what is given, what is wrong, and by which name."""

import dataclasses
from pathlib import Path

import pytest

from shared.settings import SECRETS, SettingsWrong, demand, read


def test_nothing_given_is_a_service_of_its_own_under_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    chosen = read({})

    assert chosen.home == tmp_path / ".etude"
    assert chosen.database_url == f"sqlite:///{tmp_path}/.etude/etude.db"
    assert chosen.storage_url == f"file://{tmp_path}/.etude/storage"
    assert (chosen.port, chosen.workers, chosen.redis_url) == (8000, 1, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ETUDE_PORT", "eighty"),
        ("ETUDE_PORT", "70000"),
        ("ETUDE_WORKERS", "-1"),
        ("ETUDE_DATABASE_URL", "mysql://x"),
        ("ETUDE_REDIS_URL", "localhost:6379"),
        ("ETUDE_STORAGE_URL", "/data"),
        ("ETUDE_PEPPER", "short"),
        ("ETUDE_METRICS_TOKEN", "short"),
        ("ETUDE_LEASE_S", "nan"),
        ("ETUDE_LEASE_S", "0"),
        ("ETUDE_SQLITE_SYNCHRONOUS", "off"),
        ("ETUDE_LOG_LEVEL", "loud"),
        ("ETUDE_SANDBOX_AT_LEAST", "strict"),
        ("ETUDE_UPLOAD_BYTES", "2 GB"),
        ("ETUDE_WEBHOOK_PORTS", "443,https"),
        ("ETUDE_WEBHOOK_PORTS", "0"),
        ("ETUDE_WEBHOOK_PORTS", "443,"),
        ("ETUDE_WEBHOOK_PRIVATE", "true"),
        ("ETUDE_WEBHOOK_PRIVATE", "10.1.2.3/24"),
    ],
)
def test_a_wrong_setting_stops_the_start_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsWrong) as stopped:
        read({name: value})

    assert f"{name}: expected" in str(stopped.value)
    # What may hold a password is not repeated.
    assert (repr(value) in str(stopped.value)) == (name.removeprefix("ETUDE_") not in SECRETS)


def test_every_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(SettingsWrong) as stopped:
        read({"ETUDE_PORT": "x", "ETUDE_WORKERS": "y"})

    assert "ETUDE_PORT" in str(stopped.value) and "ETUDE_WORKERS" in str(stopped.value)


def test_a_setting_that_does_not_exist_is_told_with_the_one_that_is_meant() -> None:
    with pytest.raises(SettingsWrong, match="ETUDE_WORKER: there is no such setting; ETUDE_WORKERS is meant"):
        read({"ETUDE_WORKER": "4"})


def test_the_clients_own_variables_are_no_settings_and_no_mistake() -> None:
    read({"ETUDE_URL": "http://x", "ETUDE_KEY": "k", "ETUDE_TEST_DATABASE_URL": "postgresql://x", "PATH": "/bin"})


def test_a_database_may_be_named_as_everybody_names_it() -> None:
    assert read({"ETUDE_DATABASE_URL": "postgresql://u@h/d"}).database_url == "postgresql+psycopg://u@h/d"


def test_an_empty_variable_is_one_that_is_not_given() -> None:
    assert read({"ETUDE_PORT": ""}).port == 8000


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read({}).port = 1  # type: ignore[misc]


def test_outside_the_embedded_mode_a_missing_secret_stops_the_start() -> None:
    with pytest.raises(SettingsWrong, match="ETUDE_PEPPER is not set"):
        demand(read({}), "pepper")
