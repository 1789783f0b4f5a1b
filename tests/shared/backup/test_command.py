"""What the command says, and to whom."""

import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.backup import progress
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import metadata
from shared.up import environment_of
from tests.shared.backup.filling import ROWS, content, fill, on_sqlite


def run(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "shared.backup", *arguments],
        env={**os.environ, **environment_of(settings)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_says_what_it_did_and_what_to_keep(
    settings: Settings, database: Database, storage: Storage, folder: Path, elsewhere: Settings
) -> None:
    fill(database, storage)
    without_redis = dataclasses.replace(settings, redis_url="", pepper="")

    kept = run(without_redis, "save", str(folder))
    again = run(without_redis, "save", str(folder))
    put_back = run(elsewhere, "restore", str(folder))

    assert (kept.returncode, kept.stderr) == (0, "")
    assert f"{ROWS * len(metadata.tables)} rows and 8 files" in kept.stdout and "keep secrets.json" in kept.stdout
    assert (again.returncode, again.stdout) == (1, "") and "is not empty" in again.stderr
    assert (put_back.returncode, put_back.stderr) == (0, "") and "secrets.json" in put_back.stdout
    assert content(elsewhere) == content(settings)


def test_a_terminal_is_told_how_far_it_is_and_a_log_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, log = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)

    for place in (terminal, log):
        monkeypatch.setattr(sys, "stderr", place)
        assert list(progress.shown("copied", ["a", "b"], 2)) == ["a", "b"]

    assert terminal.getvalue() == "\rcopied 0 of 2 files\rcopied 1 of 2 files\rcopied 2 of 2 files\n"
    assert log.getvalue() == ""


@on_sqlite
def test_a_database_or_a_disk_that_is_away_is_said_in_a_sentence(settings: Settings, folder: Path) -> None:
    away = dataclasses.replace(settings, database_url="postgresql+psycopg://nobody@127.0.0.1:9/none")

    said = [run(away, "save", str(folder)), run(settings, "save", "/proc/none/backup")]

    assert [each.returncode for each in said] == [1, 1]
    assert all("Traceback" not in each.stderr for each in said)
    assert "The database refused: connection" in said[0].stderr and "/proc/none" in said[1].stderr
