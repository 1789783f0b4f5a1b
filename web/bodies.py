"""Bodies of requests and answers where they are no small thing: taken as they come, handed out as they are read."""

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from granian.rsgi import HTTPProtocol  # type: ignore[attr-defined]  # granian exports it

from shared.errors import BadRequest, Unavailable
from web.environ import Environ

# A client that sends nothing for so long has gone, whatever its connection says.
SILENT_AT_MOST_S = 60.0
# In each such time, of which only the waiting counts, so much comes of a body that goes on: few clients could hold all
# uploading threads for days. A modem of 1995 sends six times as much.
STEADY_BYTES = 64 * 1024
# A body up to here is received before anybody has looked at the caller's key.
SMALL_BYTES = 64 * 1024
# Nobody needs longer for so little.
RECEIVED_S = 20.0


def is_announced(environ: Environ) -> bool:
    """Whether a body comes, as far as headers tell."""
    return "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ


def is_large(environ: Environ) -> bool:
    """Whether a body must be read as it comes: large, or nobody knows how large."""
    if environ["REQUEST_METHOD"] not in ("POST", "PUT", "PATCH"):
        return False
    if "CONTENT_LENGTH" in environ:
        return int(environ["CONTENT_LENGTH"]) > SMALL_BYTES
    # HTTP/2 needs to announce no body.
    return "HTTP_TRANSFER_ENCODING" in environ or not environ["SERVER_PROTOCOL"].startswith("HTTP/1")


async def receive(protocol: HTTPProtocol) -> bytes:
    """A small body; what comes beyond SMALL_BYTES stays where it is. Raises BadRequest after RECEIVED_S."""
    body = bytearray()
    try:
        async with asyncio.timeout(RECEIVED_S):
            async for block in protocol:
                body += block
                if len(body) > SMALL_BYTES:
                    break
    except TimeoutError as cause:
        raise BadRequest(f"The body did not come within {RECEIVED_S:g} s.", code="body_stalled") from cause
    return bytes(body)


class Incoming:
    """The body of an upload as a file, read by a thread while the loop receives it."""

    def __init__(self, protocol: HTTPProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._blocks, self._loop = aiter(steadily(protocol)), loop
        self._held = bytearray()

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer at the end only."""
        while size < 0 or len(self._held) < size:
            block = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if block is None:
                break
            self._held += block
        taken = bytes(self._held if size < 0 else self._held[:size])
        del self._held[: len(taken)]
        return taken

    async def _next(self) -> bytes | None:
        return await anext(self._blocks, None)


async def steadily(protocol: HTTPProtocol) -> Any:  # Any: an asynchronous iterator of bytes
    """The blocks of a body. Raises BadRequest when none, or next to nothing, has come for SILENT_AT_MOST_S."""
    blocks, loop = aiter(protocol), asyncio.get_running_loop()
    waited_s, came = 0.0, 0
    while True:
        began = loop.time()
        try:
            block = await asyncio.wait_for(anext(blocks), SILENT_AT_MOST_S)
        except StopAsyncIteration:
            return
        except TimeoutError as cause:
            raise BadRequest(f"No byte came for {SILENT_AT_MOST_S:g} s.", code="body_stalled") from cause
        waited_s, came = waited_s + loop.time() - began, came + len(block)
        if came >= STEADY_BYTES:
            waited_s, came = 0.0, 0
        elif waited_s > SILENT_AT_MOST_S:
            said = f"In {waited_s:.0f} s came {came:,} bytes, and {STEADY_BYTES:,} are the least."
            raise BadRequest(said, code="body_stalled")
        yield block


def spool(blocks: Iterable[bytes], folder: Path) -> IO[bytes]:
    """The blocks in a file that is gone with its last reader."""
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 — closed once it is being sent
    try:
        for block in blocks:
            file.write(block)
        file.flush()
        file.seek(0)
        return file
    except OSError as cause:
        file.close()
        raise Unavailable("There is no room to hand this file out: free some space.", code="storage_full") from cause
    except BaseException:
        file.close()
        raise
