"""A decoder that has been taken over, and tries to get out; run confined by tests."""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.containment import kernel

NEW_USER = 0x10000000
# Attaches without stopping: where it succeeds, the parent is the test.
PTRACE_SEIZE = 0x4206
BOMB = 50

Json = dict[str, Any]


def main() -> None:
    request = json.load(sys.stdin)
    print(json.dumps({"done": attempts(request)}), flush=True)


def attempts(request: Json) -> dict[str, str]:
    """Of each try what came of it: `through`, or the name of the error."""
    return {name: _attempt(act, request) for name, act in ACTS.items()}


def _attempt(act: Callable[[Json], object], request: Json) -> str:
    try:
        act(request)
    except OSError as refused:
        return type(refused).__name__
    return "through"


def connect(request: Json) -> None:
    socket.create_connection(("127.0.0.1", request["port"]), timeout=5.0).close()


def send_datagram(request: Json) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.sendto(b"x", ("127.0.0.1", request["port"]))


def read(request: Json) -> None:
    Path(request["outside"], "secret").read_text()


def list_folder(request: Json) -> None:
    list(Path(request["outside"]).iterdir())


def write(request: Json) -> None:
    Path(request["outside"], "new").write_text("x")


def overwrite(request: Json) -> None:
    with Path(request["outside"], "log").open("r+") as file:
        file.write("y")


def delete(request: Json) -> None:
    Path(request["outside"], "victim").unlink()


def link(request: Json) -> None:
    Path(request["inside"], "link").symlink_to("/etc/passwd")


def read_parent(_: Json) -> None:
    Path(f"/proc/{os.getppid()}/environ").read_bytes()


def write_inside(request: Json) -> None:
    Path(request["inside"], "own").write_text("x")


def run(_: Json) -> None:
    """A program, in a process of its own or, where it may have none, in this one's place."""
    if fork_and(lambda: os.execv("/bin/true", ["/bin/true"])) != 0:
        raise PermissionError("not run")


def fork(_: Json) -> None:
    fork_and(lambda: None)


def bomb(_: Json) -> None:
    for _ in range(BOMB):
        fork_and(lambda: None)


def fork_and(act: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            act()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1]


def signal_parent(_: Json) -> None:
    # Nothing arrives: whether it may is what is asked.
    os.kill(os.getppid(), 0)


def signal_itself(_: Json) -> None:
    os.kill(os.getpid(), signal.SIGCONT)


def trace_parent(_: Json) -> None:
    kernel.call("ptrace", PTRACE_SEIZE, os.getppid(), 0, 0)


def make_namespace(_: Json) -> None:
    kernel.call("unshare", NEW_USER)


def use_ring(_: Json) -> None:
    kernel.call("io_uring_setup", 1, bytes(120))


def use_keys(_: Json) -> None:
    kernel.call("keyctl", 0, -3, 1)


ACTS: dict[str, Callable[[Json], object]] = {
    name: act
    for name, act in globals().items()
    if callable(act)
    and getattr(act, "__module__", "") == __name__
    and name not in ("main", "attempts", "_attempt", "fork_and")
}
