"""What a line of a log has, and what it never has, by a process that writes some."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shared.database import Database
from shared.settings import read

SECRET = "canary-41c8"
SET_UP = f"""
import logging, os, sys, threading, warnings
import structlog
from shared import log
from shared.errors import JobFailed
log.configure("info")
word = {SECRET!r}
said = log.logger("test")
"""


def written(program: str) -> tuple[list[dict[str, Any]], str]:
    ran = subprocess.run([sys.executable, "-c", SET_UP + program], capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in ran.stderr.splitlines()], ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "program",
    [
        # Our own line, by each way of naming the exception.
        "try: float(word)\nexcept ValueError: said.exception('internal')",
        "try: float(word)\nexcept ValueError as e: said.error('internal', exc_info=e)",
        # A cause, and what came up meanwhile.
        "try:\n try: float(word)\n except ValueError as e: raise KeyError(word) from e\n"
        "except KeyError: said.exception('x')",
        "try:\n try: float(word)\n except ValueError: {}[word]\nexcept KeyError: said.exception('x')",
        # A library's, with the exception's words among its arguments, or in place of them.
        "try: float(word)\nexcept ValueError as e: logging.getLogger('celery').error('Failed: %s', e, exc_info=True)",
        "logging.getLogger('kombu').error('Cannot connect to %s', word)",
        "try: open('/nowhere/' + word)\nexcept OSError: said.exception('x')",
        # What nobody caught, in the main thread and in another.
        "raise RuntimeError(word)",
        "t = threading.Thread(target=lambda: float(word)); t.start(); t.join()",
    ],
)
def test_the_words_of_an_exception_are_in_no_line(program: str) -> None:
    lines, text = written(program)

    assert len(lines) == 1 and {"event", "level", "timestamp"} <= lines[0].keys()
    assert SECRET not in text


def test_a_line_has_where_it_was_raised_and_by_what() -> None:
    lines, _ = written(
        "def read(): open('/nowhere/x')\n"
        "try:\n try: read()\n except OSError as e: raise JobFailed('No.', code='file_missing') from e\n"
        "except JobFailed: said.exception('internal', job='job_1')"
    )

    told = lines[0]["exception"]
    assert lines[0]["job"] == "job_1" and lines[0]["module"] == "test"
    assert "shared.errors.JobFailed: file_missing" in told
    assert "caused by:" in told and told.endswith("FileNotFoundError: ENOENT") and "in read" in told


def test_what_is_bound_is_in_the_libraries_lines_too_and_in_a_child() -> None:
    lines, _ = written(
        "structlog.contextvars.bind_contextvars(job='job_1', attempt=2, tenant='ten_1')\n"
        "logging.getLogger('celery').warning('slow')\nwarnings.warn('old')\n"
        "if os.fork() == 0:\n    said.info('inside'); os._exit(0)\nos.wait()"
    )

    assert [line["event"] for line in lines][0::2] == ["slow", "inside"] and "old" in lines[1]["event"]
    assert all((line["job"], line["attempt"], line["tenant"]) == ("job_1", 2, "ten_1") for line in lines)


def test_the_parameters_of_a_statement_are_not_in_its_error(tmp_path: Path) -> None:
    database = Database(read({"ETUDE_HOME": str(tmp_path)}), pool_size=1)
    with pytest.raises(IntegrityError) as failed, database.transaction() as sql:
        sql.execute(text("CREATE TABLE t (a TEXT CHECK (a = 'x'))"))
        sql.execute(text("INSERT INTO t VALUES (:a)"), {"a": SECRET})
    database.close()

    assert SECRET not in str(failed.value)


@pytest.mark.parametrize("name", ["PEPPER", "METRICS_TOKEN", "DATABASE_URL", "REDIS_URL", "STORAGE_URL"])
def test_a_wrong_secret_is_not_printed(name: str) -> None:
    program = f"import os\nos.environ['ETUDE_{name}'] = word[:8]\nfrom shared import settings\nsettings.read()"

    ran = subprocess.run([sys.executable, "-c", SET_UP + program], capture_output=True, text=True, timeout=60)

    assert ran.returncode != 0 and f"ETUDE_{name}: expected" in ran.stderr
    assert SECRET[:8] not in ran.stderr
