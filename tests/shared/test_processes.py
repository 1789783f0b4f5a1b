"""The supervisor: it starts in order, revives what dies, and takes everything with it when it goes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.processes import Program, Supervisor, is_alive, read_register

LIMIT_S = 20.0
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]  # fmt: skip
PARENT = """
import sys
from pathlib import Path
from shared.processes import Program, Supervisor
sleeper = Program("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
supervisor = Supervisor([sleeper], home=Path(sys.argv[1]))
supervisor.heed_signals()
supervisor.start()
supervisor.watch()
supervisor.stop()
"""


def wait(is_true: Callable[[], Any]) -> Any:
    until = time.monotonic() + LIMIT_S
    while not (found := is_true()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found


class Watched(Supervisor):
    """A supervisor that watches in a thread, and stops as the service does: first the watching, then the rest."""

    def __init__(self, *programs: Program, home: Path) -> None:
        super().__init__(programs, home=home)
        self.start()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: self.watch(until=self._is_over.is_set), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join(LIMIT_S)
        super().stop()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Starts supervisors; everything is stopped at the end."""
    made: list[Watched] = []

    def start(*programs: Program) -> Supervisor:
        made.append(Watched(*programs, home=tmp_path))
        return made[-1]

    yield start
    for supervisor in made:
        supervisor.stop()


def test_a_killed_program_runs_again_under_another_id(watched: Callable[..., Supervisor], tmp_path: Path) -> None:
    watched(Program("one", SLEEPER), Program("two", SLEEPER))
    before = read_register(tmp_path)

    os.kill(before["one"], signal.SIGKILL)

    after = wait(lambda: (found := read_register(tmp_path)) and found["one"] != before["one"] and found)
    assert after["two"] == before["two"]
    assert is_alive(after["one"])


def test_each_is_started_once_the_one_before_it_is_ready(watched: Callable[..., Supervisor], tmp_path: Path) -> None:
    began: list[str] = []
    marker = tmp_path / "marker"
    script = f"import time; open({str(marker)!r}, 'w').close(); time.sleep(600)"

    def wait_ready() -> None:
        wait(marker.exists)
        began.append("ready")

    first = Program("first", [sys.executable, "-c", script], wait_ready=wait_ready)

    watched(first, Program("second", SLEEPER, wait_ready=lambda: began.append("second")))

    assert began == ["ready", "second"]


def test_stopping_ends_all_and_forgets_them(watched: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = watched(Program("one", SLEEPER), Program("two", SLEEPER))
    pids = [pid for name, pid in read_register(tmp_path).items() if name != "supervisor"]

    supervisor.stop()

    assert not any(is_alive(pid) for pid in pids)
    assert read_register(tmp_path) == {}


def test_what_does_not_stop_is_killed_after_its_grace(watched: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = watched(Program("stubborn", STUBBORN, stop_grace_s=0.3))
    wait(lambda: "ready" in (tmp_path / "logs" / "stubborn.log").read_text())
    pid = read_register(tmp_path)["stubborn"]

    supervisor.stop()

    assert not is_alive(pid)


def test_a_program_that_keeps_dying_is_started_ever_more_slowly(
    watched: Callable[..., Supervisor], tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "dying.log"
    watched(Program("dying", [sys.executable, "-c", "print('once', flush=True)"]), Program("other", SLEEPER))

    wait(lambda: log.exists() and log.read_text().count("once") >= 3)
    time.sleep(1.0)

    assert log.read_text().count("once") <= 5
    assert is_alive(read_register(tmp_path)["other"])


def test_the_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    pid = wait(lambda: read_register(tmp_path).get("sleeper"))

    parent.kill()
    parent.wait(LIMIT_S)

    wait(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert read_register(tmp_path) == {}


def test_a_register_that_is_broken_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for content in ("", "{", json.dumps({"supervisor": 2**22 + 1, "web": 1})):
        (tmp_path / "run" / "processes.json").write_text(content)
        assert read_register(tmp_path) == {}
