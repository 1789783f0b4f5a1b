"""Processes that are forked from one that has imported what they run, as services are started by the hundred in tests.

`start("web.serve")` does what `python -m web.serve` does, in 30 ms rather than in seconds of processor time. What is
started so is a process like any other, with a session, settings and signals of its own; that a service also starts by
its command line is held by tests/web/test_serve.py, tests/flows and tests/client.

A module's nursery imports the module and calls its `main`. It forks a keeper for each process, which waits for it and
says how it ended.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from shared.processes import die_with_parent

ROOT = Path(__file__).parent.parent
# What a process would import only once it is at work.
CELERY = ["celery.apps.worker", "celery.concurrency.prefork"]
GRANIAN = ["granian.server.mp", "uvloop", "web.gateway"]
LATER = {
    "web.serve": GRANIAN,
    "tests.faults.web": GRANIAN,
    "tests.faults.worker": [*CELERY, "tests.faults.rehearsal"],
    "tests.faults.pipeline_worker": [*CELERY, "worker.kinds", "worker.pipeline"],
    "worker.app": [*CELERY, "worker.kinds", "worker.pipeline"],
    "worker.answers": [],
    "worker.deliveries": [],
    "worker.tick": [],
}
MESSAGE_BYTES = 128 * 1024

_nurseries: dict[str, "Nursery"] = {}


class Started:
    """A process that was started here; as subprocess.Popen has it."""

    def __init__(self, pid: int, said: socket.socket) -> None:
        self.pid, self.returncode = pid, None  # type: int, int | None
        self._said = said

    def poll(self) -> int | None:
        """The exit status; None as long as it runs."""
        return self._hear(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status once it has ended. Raises subprocess.TimeoutExpired."""
        status = self._hear(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def _hear(self, patience_s: float | None) -> int | None:
        if self.returncode is not None:
            return self.returncode
        if not select.select([self._said], [], [], patience_s)[0]:
            return None
        self.returncode = int(self._said.recv(MESSAGE_BYTES))
        self._said.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Started


def execute(
    module: str, *arguments: str, env: Mapping[str, str], stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> "subprocess.Popen[bytes]":  # fmt: skip
    """The same by its command line, to be measured: a forked process maps its libraries as it touches them."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True,
        preexec_fn=die_with_parent,
    )  # fmt: skip


class Nursery:
    """A process that has imported one module."""

    def __init__(self, module: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = {name: said for name, said in os.environ.items() if not name.startswith("ETUDE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", module, str(theirs.fileno())],
            cwd=ROOT, env=kept, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()

    def start(self, arguments: tuple[str, ...], environment: Mapping[str, str], stdout: int, stderr: int) -> Started:
        said, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = json.dumps({"arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())})
        with theirs:
            socket.send_fds(self._control, [order.encode()], [theirs.fileno(), stdout, stderr])
        pid = said.recv(MESSAGE_BYTES)
        assert pid, "nothing was started; see the standard error of this test"
        return Started(int(pid), said)

    def end(self) -> None:
        self._control.close()
        self._process.wait()


def start(
    module: str, *arguments: str, env: Mapping[str, str], stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> Started:  # fmt: skip
    """Run a module's `main` in a process and a session of its own, which dies with this one."""
    if module not in _nurseries:
        _nurseries[module] = Nursery(module)
        atexit.register(_nurseries[module].end)
    out, err = (default if given is None else given.fileno() for given, default in ((stdout, 1), (stderr, 2)))
    return _nurseries[module].start(arguments, env, out, err)


def main() -> None:
    module = sys.argv[1]
    run: Callable[[], Any] = importlib.import_module(module).main
    for later in LATER[module]:
        importlib.import_module(later)
    assert threading.active_count() == 1, "a thread would be missing in what is forked from here"
    # Untouched, what was imported stays shared.
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=int(sys.argv[2]))
    if _is_child(control):
        run()


def _is_child(control: socket.socket) -> bool:
    """Fork for each order; true in a process that was ordered, false in this one once nobody can order any more."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
        if not order:
            return False
        if os.fork() == 0:
            control.close()
            return _keep(json.loads(order), descriptors)
        for each in descriptors:
            os.close(each)
        # The keepers that have gone meanwhile.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _keep(order: dict[str, Any], descriptors: list[int]) -> bool:
    die_with_parent()
    said = socket.socket(fileno=descriptors[0])
    if (child := os.fork()) == 0:
        _become(order, descriptors[1:])
        with said:
            said.send(str(os.getpid()).encode())
        return True
    for each in descriptors[1:]:
        os.close(each)
    with contextlib.suppress(BrokenPipeError):
        said.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def _become(order: dict[str, Any], outputs: list[int]) -> None:
    os.setsid()
    die_with_parent()
    os.chdir(order["folder"])
    for descriptor, output in enumerate(outputs, start=1):
        os.dup2(output, descriptor)
        os.close(output)
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    sys.argv[1:] = order["arguments"]


if __name__ == "__main__":
    main()
