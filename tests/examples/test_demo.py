"""The demo, as `make demo` runs it; and with any one process killed while it trains."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from examples import running
from shared.database import Database
from shared.processes import read_register
from shared.settings import read
from shared.tables import attempts, jobs, versions
from shared.tenancy import EVERYONE

LIMIT_S = 240.0


class Demo:
    """`python -m examples.demo` under a home of its own."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        quick = {"ETUDE_LEASE_S": "6", "ETUDE_TICK_S": "1", "ETUDE_CHECKPOINT_S": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "examples.demo"],
            env={**os.environ, "ETUDE_HOME": str(home), "ETUDE_PORT": "0", **quick, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> str:
        output, _ = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, output
        return output

    def query(self, statement: Any) -> list[Any]:
        database = Database(read({"ETUDE_HOME": str(self.home)}), whose=EVERYONE)
        with database.reading() as sql:
            rows = list(sql.execute(statement).all())
        database.close()
        return rows

    def stage(self) -> str | None:
        if not (self.home / "run" / "processes.json").exists():
            return None
        found = self.query(select(jobs.c.stage).where(jobs.c.action == "train"))
        return found[0].stage if found else None

    def made(self) -> tuple[Any, str, int]:
        """The metrics, the SHA-256 of the weights, and how many versions there are."""
        rows = self.query(select(versions.c.metrics, versions.c.files))
        return rows[0].metrics, weights_of(rows[0].files), len(rows)


def weights_of(files: list[dict[str, Any]]) -> str:
    """The SHA-256 of a version's weights."""
    return next(str(file["sha256"]) for file in files if file["name"] == "weights.safetensors")


def wait(is_true: Callable[[], bool]) -> None:
    until = time.monotonic() + LIMIT_S
    while not is_true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Demo, str]:
    """A demo that nothing disturbs, and what it printed."""
    demo = Demo(tmp_path_factory.mktemp("undisturbed"))
    return demo, demo.finish()


@pytest.fixture(scope="module")
def undisturbed(first: tuple[Demo, str]) -> tuple[str, Any]:
    return first[1], first[0].made()


def test_the_demo_shows_a_network_that_helps_and_where_everything_is(undisturbed: tuple[str, Any]) -> None:
    output, (metrics, _, count) = undisturbed

    for told in ("composers@1  861 rows", "majority", "boosted trees", "pieces named right", "composer@1", "make up"):
        assert told in output
    assert f"accuracy {metrics['validation']['accuracy']['value']:.3f}" in output
    assert metrics["validation"]["accuracy"]["value"] > 0.7
    assert count == 1


def test_the_demo_says_what_its_model_gives_away(first: tuple[Demo, str]) -> None:
    demo, output = first

    (lineage,) = demo.query(select(versions.c.lineage)).pop()
    privacy, said = lineage["privacy"], " ".join(output.split())
    assert privacy["dp"] == "none" and "differential privacy: none (trained without it)" in said
    assert privacy["membership"]["measured"]
    auc = privacy["membership"]["auc"]
    low, high = auc["interval"]
    assert 0 < low < auc["value"] < high < 1
    assert f"AUC {auc['value']:.3f} ({low:.3f}–{high:.3f})" in said
    assert running.VERDICTS[privacy["membership"]["verdict"]] in said


def test_the_demo_leaves_nothing_running(undisturbed: tuple[str, Any]) -> None:
    mine = [process for process in psutil.process_iter(["cmdline"]) if "undisturbed" in str(process.info["cmdline"])]

    assert mine == []


def test_a_second_demo_makes_second_versions_of_the_same_content(undisturbed: tuple[str, Any], tmp_path: Path) -> None:
    Demo(tmp_path).finish()

    again = Demo(tmp_path)
    output = again.finish()

    assert "composers@2  861 rows" in output
    numbered = again.query(select(versions.c.number, versions.c.metrics, versions.c.files).order_by(versions.c.number))
    assert [row.number for row in numbered] == [1, 2]
    for row in numbered:
        assert (row.metrics, weights_of(row.files)) == undisturbed[1][:2]


def test_the_demo_uses_a_service_that_runs_and_leaves_it_running(tmp_path: Path) -> None:
    environment = {**os.environ, "ETUDE_HOME": str(tmp_path), "ETUDE_PORT": "0"}
    service = subprocess.Popen([sys.executable, "-m", "shared.up"], env=environment, stdout=subprocess.DEVNULL)
    wait(lambda: bool(read_register(tmp_path)))

    # Another service's address in the variables is not this home's.
    output = Demo(tmp_path, ETUDE_URL="http://127.0.0.1:9", ETUDE_KEY="another").finish()

    assert "Etude runs already" in output
    assert read_register(tmp_path)["supervisor"] == service.pid
    service.terminate()
    assert service.wait(LIMIT_S) == 0


def test_a_service_that_cannot_start_ends_the_demo_with_a_sentence_and_its_log(tmp_path: Path) -> None:
    (tmp_path / "a-folder").mkdir()
    demo = Demo(tmp_path, ETUDE_DATABASE_URL=f"sqlite:///{tmp_path}/a-folder")

    output, _ = demo.process.communicate(timeout=LIMIT_S)

    assert demo.process.returncode == 1
    assert "Etude did not start" in output
    assert str(tmp_path / "demo.log") in output
    assert "Traceback" not in output


@pytest.mark.parametrize("victim", ["child", "worker-1", "redis", "web", "scheduler"])
def test_killing_any_one_process_ends_in_the_same_model(
    tmp_path: Path, undisturbed: tuple[str, Any], victim: str
) -> None:
    demo = Demo(tmp_path)
    wait(lambda: demo.stage() == "training")

    os.kill(_find(tmp_path, victim), signal.SIGKILL)
    output = demo.finish()

    assert "pieces named right" in output
    assert demo.made() == undisturbed[1]
    tries = len(demo.query(select(attempts.c.number).join(jobs).where(jobs.c.action == "train")))
    assert tries == (2 if victim in ("child", "worker-1") else 1)


def _find(home: Path, victim: str) -> int:
    register = read_register(home)
    if victim != "child":
        return register[victim]
    child = max(psutil.Process(register["worker-1"]).children(), key=lambda process: process.create_time())
    return int(child.pid)
