"""Runs the decoder child within limits on memory, time and files, and tells how it ended."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from shared import confinement
from shared.confinement import Bounds, Terms
from shared.containment import tier
from shared.containment.code_paths import ROOT
from shared.containment.landlock import Reach
from shared.errors import Fault, JobFailed, TryAgain

# The outcome holds the profile of at most 512 columns; whoever says more is not our decoder any longer.
LINE_BYTES = 32 * 1024 * 1024
COMPLAINT_BYTES = 64 * 1024
NO_MEMORY = ("MemoryError", "bad_alloc", "malloc of size", "Cannot allocate memory", "failed to map segment")

SAID = {
    "decoder_memory": "The files need more memory than a decoder may use: upload them in smaller files.",
    "decoder_timeout": "The files took longer to read than a decoder may take: upload them in smaller files.",
    "decoder_crashed": "The files made the decoder end: one of them is damaged, or made to do this.",
}
SAID_OF_ONE = {
    "decoder_memory": "the file needs more memory than a decoder may use",
    "decoder_timeout": "the file takes longer to read than a decoder may take",
    "decoder_crashed": "the file made the decoder end: it is damaged, or made to do this",
}

Json = dict[str, Any]  # Any: JSON
Progress = Callable[[int, int | None], None]
Child = subprocess.Popen[bytes]


def run(module: str, request: Json, *, bounds: Bounds, progress: Progress, reach: Reach = Reach()) -> Json:  # noqa: B008 — frozen
    """Have the `main` of a module answer one request in a child; `progress` may raise, which ends the child.

    The child opens no file but those within its reach, as far as this machine can keep it from that. Raises JobFailed
    with the child's own faults, or decoder_crashed, decoder_memory, decoder_timeout, with the one of the request's
    `files` that the child said it was at; TryAgain when the disk is full, or the child cannot be confined as it could
    when this machine was measured.
    """
    heard = _Heard(request.get("files", ()), progress)
    terms = Terms(bounds, tier.measured().layers, reach).written()
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as complaints:
        asked.write(terms + json.dumps(request).encode())
        asked.seek(0)
        with _child(confinement.command(module, terms), bounds, asked, complaints) as (child, is_late):
            outcome = heard.listen(child)
            if outcome is None:
                raise _crash(child.wait(), heard, is_late=is_late(), said=_tail(complaints))
        if "done" in outcome:
            return dict(outcome["done"])
        raise _failure(outcome["failed"], heard)


@dataclass
class _Heard:
    """What the child says as it works, and which file it is at: by number, for names would be its own words."""

    files: Sequence[Json]
    progress: Progress
    at: object = None

    def listen(self, child: Child) -> Json | None:
        """Pass on the progress until the outcome comes, or None when the child ends without one."""
        assert child.stdout is not None
        while line := child.stdout.readline(LINE_BYTES):
            try:
                message = json.loads(line)
            except ValueError as cause:
                raise self.blame("decoder_crashed") from cause
            if "at" in message:
                self.at = message["at"]
            elif "progress" in message:
                self.progress(message["progress"], message["total"])
            else:
                return dict(message)
        return None

    def blame(self, code: str) -> JobFailed:
        faults = []
        if type(self.at) is int and 0 <= self.at < len(self.files):
            faults = [Fault(SAID_OF_ONE[code], file=self.files[self.at]["name"], code=code)]
        return JobFailed(SAID[code], code=code, faults=faults)


@contextmanager
def _child(
    command: list[str], bounds: Bounds, asked: IO[bytes], complaints: IO[bytes]
) -> Iterator[tuple[Child, Callable[[], bool]]]:
    """The child, and whether it has been stopped for taking too long; it is gone afterwards."""
    child = _start(command, asked, complaints)
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill(child)

    clock = threading.Timer(bounds.wall_s, stop)
    clock.start()
    try:
        yield child, late.is_set
    finally:
        clock.cancel()
        _kill(child)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


@contextmanager
def piped(module: str, bounds: Bounds, complaints: IO[bytes]) -> Iterator[Child]:
    """A child that is written to and read from as it works, by whoever asks, opens no file, and is gone afterwards."""
    terms = Terms(bounds, tier.measured().layers, Reach()).written()
    child = _start(confinement.command(module, terms), subprocess.PIPE, complaints)
    try:
        assert child.stdin is not None
        # A pipe holds them, so this waits for nothing.
        child.stdin.write(terms)
        child.stdin.flush()
        yield child
    finally:
        _kill(child)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            pipe.close()


def lacked_memory(complaints: IO[bytes]) -> bool:
    """Whether what a child has complained of was memory."""
    said = _tail(complaints)
    return any(word in said for word in NO_MEMORY)


def _start(command: list[str], asked: IO[bytes] | int, complaints: IO[bytes]) -> Child:
    return subprocess.Popen(  # noqa: S603 — our own module
        command,
        cwd=ROOT,
        stdin=asked,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=_environment(),
        start_new_session=True,
    )


def _kill(child: Child) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def _failure(failed: Json, heard: _Heard) -> JobFailed | TryAgain:
    code = failed["code"]
    if code == "disk_full":
        return TryAgain("The worker's disk is full.", code=code)
    if code in SAID:
        return heard.blame(code)
    faults = [Fault(**fault) for fault in failed["faults"]]
    return JobFailed(failed["detail"], code=code, faults=faults, faults_total=failed["total"])


def _crash(status: int, heard: _Heard, *, is_late: bool, said: str) -> JobFailed | TryAgain:
    if status == confinement.EXIT_UNCONFINED:
        # Its own words are not passed on: a child that was taken over may end so as well.
        return TryAgain("This machine no longer confines a decoder as it did.", code="decoder_unavailable")
    # Without a deadline passed, it was the kernel that killed: memory is what it kills for.
    if any(word in said for word in NO_MEMORY) or (status == -signal.SIGKILL and not is_late):
        code = "decoder_memory"
    elif is_late or status == -signal.SIGXCPU:
        code = "decoder_timeout"
    else:
        code = "decoder_crashed"
    return heard.blame(code)


def _tail(complaints: IO[bytes]) -> str:
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - COMPLAINT_BYTES))
    return complaints.read().decode(errors="replace")


def _environment() -> dict[str, str]:
    """No address of a database, no secret; and libraries that map little memory."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # The system's allocator holds three times the memory for its threads; mimalloc maps 1 GiB unless told, in KiB.
        "ARROW_DEFAULT_MEMORY_POOL": "mimalloc",
        "MIMALLOC_ARENA_RESERVE": "65536",
    }
