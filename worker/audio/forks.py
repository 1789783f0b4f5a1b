"""Answers requests from standard input, each in a fork of this process with limits of its own.

A fork takes 20 ms where a new process takes 500, most of it imports. This process never opens what clients upload, so
it lives on whatever their files do to the children. It has one thread only: a fork copies no others, nor their locks.
"""

import functools
import gc
import json
import os
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from shared.confinement import confine_fork
from shared.containment.landlock import Reach
from worker.audio.child import STDIN, STDOUT, live
from worker.audio.limits import SAID, TrackBounds

READ_BYTES = 64 * 1024
COMPLAINT_BYTES = 2048
# How soon the end of a child is noticed that has closed its pipe and lives on.
MUTE_S = 0.05
NO_MEMORY = (b"MemoryError", b"bad_alloc", b"Cannot allocate memory", b"failed to map segment")

Json = dict[str, Any]  # Any: JSON


@dataclass
class Child:
    """One request and the process that answers it."""

    id: int
    pid: int
    answer: int
    complaint: int
    deadline: float
    said: bytes = b""
    complaints: bytes = b""
    is_mute: bool = False


class Forks:
    """The process that forks: reads requests, keeps the clocks of its children, passes on their answers."""

    def __init__(
        self,
        answer: Callable[[Json], Json],
        reach: Callable[[Json], Reach],
        *,
        parallel: int,
        bounds: TrackBounds,
        layers: Collection[str],
    ) -> None:
        """`reach` tells of a request which files its child may open, `layers` how it is kept from others."""
        self._answer, self._reach, self._layers = answer, reach, layers
        self._parallel, self._bounds = parallel, bounds
        self._waiting: deque[Json] = deque()
        self._children: list[Child] = []
        # poll and not epoll: it takes plain files, and holds nothing open that a child would inherit.
        self._selector = selectors.PollSelector()
        self._asked, self._said = bytearray(), bytearray()
        self._is_asked = True

    def serve(self, asked: bytes) -> None:
        """Answer until standard input ends and all is answered; `asked` is what was read from it already."""
        os.set_blocking(STDOUT, False)
        self._selector.register(STDIN, selectors.EVENT_READ)
        self._take(asked)
        self._say({"ready": True})
        # The collector would write to every object, and each page written to is copied for the child.
        gc.collect()
        gc.freeze()
        while self._is_asked or self._waiting or self._children or self._said:
            self._fork_waiting()
            for key, _ in self._selector.select(self._patience_s()):
                self._attend(key.fd)
            self._look_at_clocks()

    def _patience_s(self) -> float | None:
        if any(child.is_mute for child in self._children):
            return MUTE_S
        deadlines = [child.deadline for child in self._children]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _attend(self, fd: int) -> None:
        if fd == STDIN:
            self._listen()
        elif fd == STDOUT:
            self._write()
        for child in [child for child in self._children if fd in (child.answer, child.complaint)]:
            self._hear(child, fd)

    def _listen(self) -> None:
        asked = os.read(STDIN, READ_BYTES)
        if not asked:
            self._selector.unregister(STDIN)
            self._is_asked = False
        self._take(asked)

    def _take(self, asked: bytes) -> None:
        *lines, rest = (bytes(self._asked) + asked).split(b"\n")
        self._asked = bytearray(rest)
        self._waiting.extend(json.loads(line) for line in lines)

    def _say(self, message: Json) -> None:
        if not self._said:
            self._selector.register(STDOUT, selectors.EVENT_WRITE)
        self._said += json.dumps(message, allow_nan=False).encode() + b"\n"

    def _write(self) -> None:
        del self._said[: os.write(STDOUT, self._said)]
        if not self._said:
            self._selector.unregister(STDOUT)

    def _fork_waiting(self) -> None:
        while self._waiting and len(self._children) < self._parallel:
            self._fork(self._waiting.popleft())

    def _fork(self, request: Json) -> None:
        (answer, says), (complaint, complains) = os.pipe(), os.pipe()
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            answering, confining = functools.partial(self._answer, request), functools.partial(self._confine, request)
            live(answering, parent, (says, complains), self._bounds, confining)
        os.close(says)
        os.close(complains)
        child = Child(request["id"], pid, answer, complaint, time.monotonic() + self._bounds.wall_s)
        self._children.append(child)
        for fd in (answer, complaint):
            self._selector.register(fd, selectors.EVENT_READ)

    def _confine(self, request: Json) -> None:
        confine_fork(self._layers, self._reach(request))

    def _hear(self, child: Child, fd: int) -> None:
        said = os.read(fd, READ_BYTES)
        if fd == child.complaint:
            child.complaints = (child.complaints + said)[-COMPLAINT_BYTES:]
        else:
            child.said += said
        if not said:
            self._selector.unregister(fd)
            child.is_mute = child.is_mute or fd == child.answer
        if child.said.endswith(b"\n") or len(child.said) > self._bounds.answer_bytes:
            self._kill(child)
            self._bury(child, _parse(child.said, self._bounds.answer_bytes), "decoder_crashed")

    def _look_at_clocks(self) -> None:
        for child in list(self._children):
            ended, status = os.waitpid(child.pid, os.WNOHANG) if child.is_mute else (0, 0)
            if ended:
                child.complaints += _drain(child.complaint)
                self._bury(child, None, _cause(status, child.complaints))
            elif time.monotonic() > child.deadline:
                self._kill(child)
                self._bury(child, None, "decoder_timeout")

    def _kill(self, child: Child) -> None:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)

    def _bury(self, child: Child, said: Json | None, code: str) -> None:
        """Forget a child that is gone and pass on what it said, or what it died of."""
        for fd in (child.answer, child.complaint):
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            os.close(fd)
        self._children.remove(child)
        self._say({"id": child.id, **(said or {"fault": self._blame(child, code)})})

    def _blame(self, child: Child, code: str) -> Json:
        complaints = child.complaints.decode(errors="replace")
        # For whoever runs the service; quoted, since the words may be those of the file.
        print(json.dumps({"track": child.id, "code": code, "complaints": complaints}), file=sys.stderr)  # noqa: T201
        return {"code": code, "detail": SAID[code]}


def _parse(said: bytes, most: int) -> Json | None:
    """What a child said, if it is what one says that is in its senses."""
    if len(said) > most or not said.endswith(b"\n"):
        return None
    try:
        message = json.loads(said)
        # 1e999 is read as infinity, and nobody can pass that on.
        json.dumps(message, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or len(message.keys() & {"heard", "fault"}) != 1:
        return None
    return {name: message[name] for name in ("heard", "fault") if name in message}


def _cause(status: int, complaints: bytes) -> str:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    # This process kills those that are late or have said too much, and blames them itself: here it was the kernel.
    if any(word in complaints for word in NO_MEMORY) or number == signal.SIGKILL:
        return "decoder_memory"
    return "decoder_timeout" if number == signal.SIGXCPU else "decoder_crashed"


def _drain(fd: int) -> bytes:
    """What is left in a pipe whose writer is gone."""
    left = b""
    while said := os.read(fd, READ_BYTES):
        left = (left + said)[-COMPLAINT_BYTES:]
    return left
