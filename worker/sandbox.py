"""Runs the decoder child within limits on memory, time and files, and tells how it ended."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from shared.errors import Fault, JobFailed
from shared.processes import die_with_parent

PR_SET_NO_NEW_PRIVS = 38
MiB = 1024 * 1024

Json = dict[str, Any]


@dataclass(frozen=True)
class Bounds:
    """What a decoder may use. Address space, not memory: the libraries map some 600 MiB before the first row."""

    address_bytes: int = 3072 * MiB
    cpu_s: int = 3600
    file_bytes: int = 16 * 1024 * MiB
    open_files: int = 128
    wall_s: float = 3600.0


def run(module: str, request: Json, *, bounds: Bounds, progress: Callable[[int, int | None], None]) -> Json:
    """Have the child answer one request; `progress` may raise, which ends the child.

    Raises JobFailed with the child's own faults, or decoder_crashed, decoder_memory, decoder_timeout.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(json.dumps(request).encode())
        asked.seek(0)
        child = subprocess.Popen(  # noqa: S603 — our own module
            [sys.executable, "-m", module],
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(),
            start_new_session=True,
            preexec_fn=lambda: _confine(bounds),
        )
        clock = threading.Timer(bounds.wall_s, lambda: os.killpg(child.pid, signal.SIGKILL))
        clock.start()
        try:
            return _listen(child, said, progress)
        finally:
            clock.cancel()
            _end(child)


def _listen(child: "subprocess.Popen[bytes]", said: IO[bytes], progress: Callable[[int, int | None], None]) -> Json:
    assert child.stdout is not None
    for line in child.stdout:
        message = json.loads(line)
        if "progress" in message:
            progress(message["progress"], message["total"])
        elif "done" in message:
            return dict(message["done"])
        elif "failed" in message:
            raise _failure(message["failed"])
    status = child.wait()
    said.seek(0)
    raise _crash(status, said.read().decode(errors="replace"))


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def _failure(failed: Json) -> JobFailed:
    faults = [Fault(**fault) for fault in failed.get("faults", [])]
    return JobFailed(failed["detail"], code=failed["code"], faults=faults, faults_total=failed.get("total"))


def _crash(status: int, said: str) -> JobFailed:
    if "MemoryError" in said or "bad_alloc" in said or "malloc of size" in said:
        return JobFailed("The file needs more memory than a decoder may use.", code="decoder_memory")
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        return JobFailed("The file took longer to read than a decoder may take.", code="decoder_timeout")
    return JobFailed("The file made the decoder end; it is damaged, or made to do this.", code="decoder_crashed")


def _confine(bounds: Bounds) -> None:
    die_with_parent()
    for what, limit in (
        (resource.RLIMIT_AS, bounds.address_bytes),
        (resource.RLIMIT_CPU, bounds.cpu_s),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, bounds.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _environment() -> dict[str, str]:
    # No address of a database, no secret; one thread a library, for each maps memory of its own.
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "PYTHONPATH") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
