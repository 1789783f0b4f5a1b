"""Starts, watches and restarts the processes of one host: killing any of them ends nothing."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
# A process that keeps dying is started again ever more slowly, and at once again after a healthy minute.
BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
HEALTHY_S = 60.0
LOG_BYTES = 10 * 1024 * 1024
WATCH_S = 0.1


@dataclass(frozen=True)
class Program:
    """One process: how to start it, when it is ready, how long it may take to stop."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    wait_ready: Callable[[], None] | None = None
    stop_grace_s: float = 10.0


class Running:
    """One program's present process."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program, self.log = program, log
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.deaths = 0
        self.start_after = 0.0

    def start(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 — our own command lines
                list(self.program.argv),
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.started_at = time.monotonic()

    def revive(self) -> None:
        """Start it again if it has ended, unless it has died too often for now."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.start_after == 0.0:
            self.deaths = 0 if now - self.started_at > HEALTHY_S else self.deaths
            self.start_after = now + BACK_OFF_S[min(self.deaths, len(BACK_OFF_S) - 1)]
            self.deaths += 1
        if now >= self.start_after:
            self.start_after = 0.0
            self.start()

    def signal(self, number: signal.Signals) -> None:
        """Tell the process; SIGKILL goes to everything that it started, too."""
        if self.process is None or self.process.poll() is not None:
            return
        if number is signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)


class Supervisor:
    """Holds the programs of one service together; writes who runs where into `processes.json`."""

    def __init__(self, programs: Sequence[Program], *, home: Path) -> None:
        self._register = home / "run" / "processes.json"
        logs = home / "logs"
        for folder in (self._register.parent, logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._running = [Running(program, logs / f"{program.name}.log") for program in programs]
        self._stopping = threading.Event()
        self._stops = 0

    def start(self) -> None:
        """Start all, each once the one before it is ready. Raises TimeoutError if one never is."""
        for running in self._running:
            running.start()
            if running.program.wait_ready is not None:
                running.program.wait_ready()
        self._write_register()

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Revive what dies, until told to stop or until `until` says so."""
        while not self._stopping.is_set() and not until():
            for running in self._running:
                before = running.process
                running.revive()
                if running.process is not before:
                    self._write_register()
            self._stopping.wait(WATCH_S)

    def stop(self) -> None:
        """Stop all, the last started first; what outlives its grace is killed."""
        self._stopping.set()
        for running in reversed(self._running):
            running.signal(signal.SIGTERM)
        for running in reversed(self._running):
            _wait(running, lambda: self._stops > 1)
        self._register.unlink(missing_ok=True)

    def heed_signals(self) -> None:
        """Stop on SIGTERM and SIGINT; a second one waits for nobody."""

        def told(_: int, __: FrameType | None) -> None:
            self._stops += 1
            self._stopping.set()

        signal.signal(signal.SIGTERM, told)
        signal.signal(signal.SIGINT, told)

    def _write_register(self) -> None:
        pids = {running.program.name: running.process.pid for running in self._running if running.process}
        draft = self._register.with_suffix(".draft")
        draft.write_text(json.dumps({"supervisor": os.getpid(), **pids}))
        draft.replace(self._register)


def read_register(home: Path) -> dict[str, int]:
    """Who runs under this home: name to process id; empty when nobody does."""
    try:
        pids: dict[str, int] = json.loads((home / "run" / "processes.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return pids if is_alive(pids.get("supervisor", 0)) else {}


def is_alive(pid: int) -> bool:
    """Whether a process of ours has that id."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def die_with_parent(parent: int | None = None) -> None:
    """Called in a new child: the kernel kills it when its parent is gone. macOS has no such thing.

    With the parent's id given, one that went before this was said is noticed, too.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def when_told_to_stop() -> threading.Event:
    """Set once this process is asked to stop, by SIGTERM or SIGINT."""
    stopped = threading.Event()

    def told(_: int, __: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    return stopped


def _wait(running: Running, is_hurried: Callable[[], bool]) -> None:
    until = time.monotonic() + running.program.stop_grace_s
    while running.process is not None and running.process.poll() is None:
        if time.monotonic() > until or is_hurried():
            running.signal(signal.SIGKILL)
            running.process.wait()
            return
        time.sleep(0.02)
