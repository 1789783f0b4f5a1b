"""The process that forks a confined child for each recording, seen from the worker: takes requests, gives messages."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import asdict
from typing import Any

from shared import confinement
from shared.confinement import Bounds, Terms
from shared.containment import tier
from shared.containment.code_paths import ROOT
from shared.containment.landlock import Reach
from worker.audio.limits import AudioLimits, TrackBounds

READ_BYTES = 64 * 1024
# It opens no recording: what it maps and takes is for its libraries, and for a day of forks.
OWN_BYTES, OWN_CPU_S, OWN_FILES = 4 * 1024**3, 24 * 3600, 64

Json = dict[str, Any]  # Any: JSON


class GoneError(Exception):
    """The process has died, or talks nonsense."""


class Zygote:
    """One such process, alive until `kill`."""

    def __init__(self, module: str, *, parallel: int, limits: AudioLimits, bounds: TrackBounds) -> None:
        layers = tier.measured().layers
        terms = Terms(_own(bounds, parallel), layers, Reach(), forks=True).written()
        self._process = subprocess.Popen(  # noqa: S603 — our own module
            confinement.command(module, terms),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        self._stdin, self._stdout = (pipe.fileno() for pipe in self._pipes)
        os.set_blocking(self._stdin, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        # What a child says in one byte may take six once it is passed on.
        self._to_say, self._said, self._longest = b"", b"", 6 * bounds.answer_bytes + READ_BYTES
        self.is_ready = False
        self.say(
            {"parallel": parallel, "limits": asdict(limits), "bounds": asdict(bounds), "layers": layers}, first=terms
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, message: Json, *, first: bytes = b"") -> None:
        # Never waits: while the pipe is full, the other side may be waiting for us to read.
        if not self._to_say:
            self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self.heard_at = time.monotonic()
        self._to_say += first + json.dumps(message, allow_nan=False).encode() + b"\n"

    def listen(self, patience_s: float) -> list[Json]:
        """The messages that come within a time, or none. Raises GoneError."""
        for key, _ in self._selector.select(patience_s):
            if key.fd == self._stdin:
                self._write()
            else:
                self._read()
        *lines, self._said = self._said.split(b"\n")
        messages = [_message(line) for line in lines]
        self.is_ready = self.is_ready or bool(messages)
        return [message for message in messages if "id" in message]

    def _write(self) -> None:
        try:
            self._to_say = self._to_say[os.write(self._stdin, self._to_say) :]
        except BrokenPipeError as cause:
            raise GoneError from cause
        if not self._to_say:
            self._selector.unregister(self._stdin)

    def _read(self) -> None:
        said = os.read(self._stdout, READ_BYTES)
        self._said += said
        self.heard_at = time.monotonic()
        if not said or len(self._said) > self._longest:
            raise GoneError

    def kill(self) -> None:
        """End it with its children, which are of its group: before it is waited for, no other group has that id."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()


def _message(line: bytes) -> Json:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as cause:
        raise GoneError from cause
    if not isinstance(message, dict):
        raise GoneError
    return message


def _own(bounds: TrackBounds, parallel: int) -> Bounds:
    """The limits of the process itself, above those that it sets its children."""
    return Bounds(
        address_bytes=OWN_BYTES + bounds.address_bytes,
        cpu_s=OWN_CPU_S,
        file_bytes=bounds.file_bytes,
        # Two pipes a child.
        open_files=OWN_FILES + 4 * parallel,
    )


def _environment() -> dict[str, str]:
    """No address of a database, no secret; and no threads, which a fork would leave behind with their locks."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
