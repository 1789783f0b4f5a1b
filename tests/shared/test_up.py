"""The whole service on one machine: what stops its start with a sentence."""

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import up
from shared.settings import read
from shared.storage import Storage


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens who would share it, as servers of several processes do."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_stops_the_start_with_a_sentence_and_nothing_is_made(tmp_path: Path, taken: int) -> None:
    home = tmp_path / "home"

    started = subprocess.run(
        [sys.executable, "-m", "shared.up"],
        env={**os.environ, "ETUDE_HOME": str(home), "ETUDE_PORT": str(taken)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert started.returncode == 1
    assert started.stderr == (
        f"Etude cannot start: port {taken} of 127.0.0.1 is taken: stop what listens there, or choose another "
        "ETUDE_PORT (0: a free one).\n"
    )
    assert not home.exists()


def test_an_address_that_is_not_this_machines_is_told_as_such(tmp_path: Path) -> None:
    chosen = dataclasses.replace(read({"ETUDE_HOME": str(tmp_path)}), host="192.0.2.1", port=8000)

    with pytest.raises(
        SystemExit, match=r"port 8000 of 192.0.2.1 cannot be listened at \(.*\): choose other ETUDE_HOST"
    ):
        up.prepare(chosen)


def test_a_root_key_that_is_lost_is_not_replaced_by_another(tmp_path: Path) -> None:
    home, lost = {"ETUDE_HOME": str(tmp_path), "ETUDE_PORT": "0"}, tmp_path / "lost.key"
    Storage(read({**home, "ETUDE_ROOT_KEY": "ab" * 32})).put("t/ten_1/a", [b"music"])

    with pytest.raises(SystemExit, match="There is no root key"):
        up.prepare(read({**home, "ETUDE_ROOT_KEY_FILE": str(lost)}))

    assert not lost.exists()


def test_a_port_is_free_again_once_nobody_listens(taken: int) -> None:
    port = up.free_port("127.0.0.1")

    assert up.is_free("127.0.0.1", port) and not up.is_free("127.0.0.1", taken)


def test_what_redis_saved_in_a_release_before_is_deleted_and_nothing_is_saved_any_more(tmp_path: Path) -> None:
    saved = tmp_path / "redis" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    saved.parent.mkdir(parents=True)
    saved.write_text("SET etude.question.7 Ondine")
    saved.parent.with_name("appendonly.aof").write_text("SET etude.question.6 Scarbo")

    _, supervisor = up.prepare(read({"ETUDE_HOME": str(tmp_path), "ETUDE_PORT": "0"}))

    assert [path for path in (tmp_path / "redis").rglob("*") if path.is_file()] == []
    (redis,) = [each.program for each in supervisor._running if each.program.name == "redis"]
    assert redis.argv[redis.argv.index("--appendonly") + 1] == "no"
