"""Has a file masked by a confined child while it comes in, so that what is hidden is written nowhere.

The bytes go through pipes, and are parsed by the child alone; a child that ends early leaves no file.
"""

import json
import os
import selectors
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import IO

from shared import sandbox
from shared.confinement import Bounds
from shared.errors import EtudeError, Fault, InvalidRequest, TooLarge, Unavailable
from shared.log import logger
from shared.masking import frames
from shared.masking.frames import Broken, Frames
from shared.masking.plan import Plan
from shared.sandbox import Child

MODULE = "shared.masking.child"
MiB = 1024 * 1024
# Rows of 2 MiB of characters in Python's form, a few times over, and Python itself; it opens no file.
BOUNDS = Bounds(address_bytes=768 * MiB, file_bytes=MiB, open_files=32)
# The child has bytes to work on and neither takes more nor gives any: it will never.
IDLE_S = 60.0
READ_BYTES = 256 * 1024

log = logger("masking")


@contextmanager
def opened(plan: Plan, blocks: Iterable[bytes], *, bounds: Bounds = BOUNDS) -> Iterator[Iterator[bytes]]:
    """The masked file in blocks, which ends only if all of it was masked; the child is gone afterwards.

    Raises InvalidRequest with what cannot be masked, TooLarge when it takes too much to, Unavailable when the child
    was ended; whatever `blocks` raises, it raises.
    """
    # In the thread that stays until the end: the child ends with the thread that has started it.
    with tempfile.TemporaryFile() as complaints, sandbox.piped(MODULE, bounds, complaints) as child:
        yield _frames_of(child, chain([plan.line()], blocks), complaints)


def _frames_of(child: Child, blocks: Iterator[bytes], complaints: IO[bytes]) -> Iterator[bytes]:
    held = Frames()
    try:
        for part in _through(child, blocks):
            for kind, content in held.take(part):
                if kind == frames.PIECE:
                    yield content
                elif kind == frames.FAILED:
                    _read_out(blocks)
                    raise _refusal(json.loads(content))
                else:
                    return
    except Broken as cause:
        _read_out(blocks)
        raise _ended(child, complaints) from cause
    _read_out(blocks)
    raise _ended(child, complaints)


def _read_out(blocks: Iterator[bytes]) -> None:
    """To its end: a client that is still sending hears no answer."""
    for _ in blocks:
        pass


def _through(child: Child, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What the child says, while it is given the blocks; ends when it says no more."""
    assert child.stdin is not None and child.stdout is not None
    os.set_blocking(child.stdin.fileno(), False)
    with selectors.DefaultSelector() as watch:
        watch.register(child.stdout, selectors.EVENT_READ)
        watch.register(child.stdin, selectors.EVENT_WRITE)
        left = memoryview(b"")
        while True:
            if not left and not child.stdin.closed:
                left = memoryview(next(blocks, b""))
                if not left:
                    _close(watch, child)
            ready = {key.fileobj for key, _ in watch.select(IDLE_S)}
            if not ready:
                raise Unavailable("The masking of the file stood still: send the file again.", code="masking_ended")
            if child.stdin in ready:
                left = _give(watch, child, left)
            if child.stdout in ready:
                part = os.read(child.stdout.fileno(), READ_BYTES)
                if not part:
                    return
                yield part


def _give(watch: selectors.BaseSelector, child: Child, left: memoryview) -> memoryview:
    assert child.stdin is not None
    try:
        return left[os.write(child.stdin.fileno(), left) :]
    except BlockingIOError:
        return left
    except BrokenPipeError:
        # It has said why, or has gone: its output tells.
        _close(watch, child)
        return memoryview(b"")


def _close(watch: selectors.BaseSelector, child: Child) -> None:
    assert child.stdin is not None
    watch.unregister(child.stdin)
    child.stdin.close()


def _refusal(said: sandbox.Json) -> EtudeError:
    faults = [Fault(**fault) for fault in said["faults"]]
    first = faults[0]
    column = "" if first.column is None else f" (column {first.column!r})"
    more = f" And {said['total'] - 1:,} more faults." if said["total"] > 1 else ""
    detail = f"The file was not taken: {first.message}{column}.{more} Correct it and send it again."
    return InvalidRequest(detail, code=said["code"], faults=faults, faults_total=said["total"])


def _ended(child: Child, complaints: IO[bytes]) -> EtudeError:
    """Why a child has ended without saying so; its own words stay here, for they may quote the file."""
    status = child.wait()
    if status == -signal.SIGXCPU or sandbox.lacked_memory(complaints):
        said = "The file takes more than masking may use: send it in smaller files."
        return TooLarge(said, code="masking_exhausted")
    log.warning("masking_ended", status=status)
    return Unavailable("The masking of the file was ended: send the file again.", code="masking_ended")
