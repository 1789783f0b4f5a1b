"""`python -m shared.containment.probe`: tries what each layer forbids, and prints as JSON what came of it.

Each layer is put on a fork of its own, alone. A file that can be read, a program that runs, a connection that is made
shows that it does not hold; that the kernel has taken the call for it shows nothing.
"""

import json
import mmap
import os
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from shared.containment import kernel, landlock, namespaces, seccomp
from shared.containment.landlock import Reach
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, RLIMITS, SECCOMP
from shared.processes import die_with_parent

GiB = 1024**3
PTRACE_ATTACH = 16
TRUE = "/bin/true"

Try = Callable[[], object]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="etude-probe-") as folder, socket.create_server(("127.0.0.1", 0)) as near:
        inside, outside = Path(folder, "inside"), Path(folder, "outside")
        inside.mkdir()
        outside.mkdir()
        (outside / "secret").write_text("x")
        tries: dict[str, Callable[[], Iterator[tuple[str, Try]]]] = {
            RLIMITS: lambda: of_limits(inside),
            SECCOMP: of_seccomp,
            LANDLOCK: lambda: of_landlock(inside, outside),
            NETWORK_NAMESPACE: lambda: of_namespace(near.getsockname()),
        }
        print(json.dumps({layer: in_a_fork(each) for layer, each in tries.items()}))  # noqa: T201 — the answer


def of_limits(inside: Path) -> Iterator[tuple[str, Try]]:
    resource.setrlimit(resource.RLIMIT_AS, (GiB, GiB))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    yield "took 2 GiB", lambda: mmap.mmap(-1, 2 * GiB)
    yield "wrote a long file", lambda: (inside / "long").write_bytes(bytes(11))
    yield "opened many files", lambda: [os.dup(0) for _ in range(20)]


def of_seccomp() -> Iterator[tuple[str, Try]]:
    parent = os.getppid()
    seccomp.confine_starting()
    seccomp.confine_decoding()
    yield "opened a socket", socket.socket
    yield "forked", os.fork
    yield "ran a program", lambda: os.execv(TRUE, [TRUE])  # noqa: S606 — that it cannot is what is tried
    yield "reached its parent", lambda: os.kill(parent, 0)
    yield "traced its parent", lambda: kernel.call("ptrace", PTRACE_ATTACH, parent, 0, 0)
    yield "made a namespace", lambda: kernel.call("unshare", namespaces.NEW_USER)


def of_landlock(inside: Path, outside: Path) -> Iterator[tuple[str, Try]]:
    landlock.confine(Reach(writes=(str(inside),)))
    (inside / "own").write_text("y")
    yield "read a file outside", (outside / "secret").read_text
    yield "listed a folder outside", lambda: list(outside.iterdir())
    yield "wrote outside", lambda: (outside / "new").write_text("z")
    yield "deleted outside", (outside / "secret").unlink
    yield "read /etc/passwd", Path("/etc/passwd").read_text
    yield "ran a program", lambda: os.execv(TRUE, [TRUE])  # noqa: S606 — that it cannot is what is tried


def of_namespace(near: tuple[str, int]) -> Iterator[tuple[str, Try]]:
    namespaces.leave_network()
    yield "connected to this host", lambda: socket.create_connection(near, timeout=1.0)


def in_a_fork(tries: Callable[[], Iterator[tuple[str, Try]]]) -> str | None:
    """What got through, or why the layer cannot be had; None where it holds."""
    (answer, says), parent = os.pipe(), os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            kernel.forbid_new_privileges()
            os.write(says, (got_through(tries()) + "\n").encode())
        except BaseException as cause:
            os.write(says, f"{cause}\n".encode())
        finally:
            os._exit(0)
    os.close(says)
    with os.fdopen(answer) as said:
        found = said.read()
    os.waitpid(pid, 0)
    # Whoever says nothing has become another program, or is gone.
    return found.strip() or None if found else "ended without an answer"


def got_through(tries: Iterator[tuple[str, Try]]) -> str:
    """The first try that is not refused, or nothing."""
    for name, attempt in tries:
        try:
            attempt()
        except (OSError, ValueError):
            continue
        return name
    return ""


if __name__ == "__main__":
    main()
