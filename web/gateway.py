"""Between granian and Flask: who works, who waits and who moves bytes, so that none of them holds up another.

A request is answered on the spot, by the event loop's own thread, as long as the database answers at once: threads that
take turns at the interpreter do half of one's work (docs/decisions/0003). What finds the database busy, or touches
storage, is done by a thread. A client that waits for a job holds no thread at all; one that reads slowly holds none
either, but a file on disk.
"""

import asyncio
import contextlib
import io
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import Flask
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined]  # granian exports them

from shared import ids, processes, row_security, traces
from shared.database import Database
from shared.errors import EtudeError, Unavailable
from shared.keys import Keyring
from shared.log import logger
from web import bodies, errors, traffic
from web.api import SLOW
from web.app import HEADERS, create_app, create_services, read_settings
from web.environ import LOCATION, Environ, closing, demand_host, environ_of
from web.services import Services
from web.streams import HELLO, MAY_STREAM, Stream
from web.uploading import UPLOAD, Uploads
from web.waiting import MAY_STAY, STAYED, Stay

# As many requests as a database has in hand at once; more would only wait in its own queue.
WORKING_THREADS = 16
# Uploads come as slowly as their clients send; more than these at once are refused.
UPLOADING_THREADS = 32
# Files on their way out, each as fast as the storage gives it.
SENDING_THREADS = 8
# Beyond these a request is refused: with the database frozen, waiting behind them would be for nothing.
IN_HAND_AT_MOST = 256
# Another process's transaction is over by then, or takes longer than anybody else should wait for.
PROMPT_MS = 20
# A body of known length up to here is sent in one piece.
PIECE_BYTES = 256 * 1024
# granian opens a file within milliseconds of being told.
OPENED_S = 2.0
READING = ("GET", "HEAD", "OPTIONS")
# Short enough that nobody notices, long beside the 20 ms that each write would cost the loop.
LOCKED_S = 0.25
UNAVAILABLE = "503"
# In our own log and counts alone: the client had gone before it was answered.
CLIENT_GONE = 499
# Whoever takes nothing of a stream for so long has gone, whatever its connection says.
TAKEN_S = 30.0
BODILESS = ("204", "304")
# Where Flask serves the files of its static folder.
STATIC = "/static/"
# Asks nobody, and so is answered on the spot even where the database is a server.
HEALTH = "/healthz"

log = logger("gateway")


@dataclass
class Reply:
    """What the application answered, its body not yet read."""

    status: str = "500"
    headers: list[tuple[str, str]] | None = None
    body: Iterable[bytes] = ()
    stream: Stream | None = None

    def start(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:  # Any: WSGI's exc_info, write
        self.status, self.headers = status[:3], headers


class Gateway:
    """An RSGI application: `prompt` has a database that does not wait, `patient` one that does."""

    def __init__(self, prompt: Flask, patient: Flask, services: Services) -> None:
        self._prompt, self._patient = prompt, patient
        self._room, self._streams = services.room, services.streams
        # A file answers at once; a server may not, and the loop waits for nobody.
        self._is_local = services.database.is_sqlite
        self._settings = services.settings
        self._in_hand, self._locked_until = 0, 0.0
        self._uploads = Uploads(UPLOADING_THREADS)
        self._spool = services.settings.home / "spool"
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._working = ThreadPoolExecutor(WORKING_THREADS, "working")
        self._uploading = ThreadPoolExecutor(UPLOADING_THREADS, "uploading")
        self._sending = ThreadPoolExecutor(SENDING_THREADS, "sending")

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        began, status = time.perf_counter(), CLIENT_GONE
        environ: Environ = {"REQUEST_METHOD": scope.method, "PATH_INFO": scope.path}
        try:
            environ = environ_of(scope)
            demand_host(environ)
            reply = await self._answer(environ, protocol)
            status, environ[LOCATION] = int(reply.status), _header(reply, "location")
            reply.headers = [*(reply.headers or []), *closing(environ)]
            if reply.stream is not None:
                await self._follow(reply, reply.stream, protocol)
            else:
                await self._send(reply, protocol, scope)
        except ProtocolClosed:
            status = CLIENT_GONE
        except EtudeError as error:
            status = _refuse(environ, protocol, error)
        except Exception as error:
            # What the application itself could not foresee it has answered; this is the way to it and back.
            environ.setdefault(errors.REQUEST_ID, ids.new("req"))
            log.exception("internal", **traffic.names(environ))
            status = _refuse(environ, protocol, error)
        finally:
            seconds = time.perf_counter() - began
            traffic.note(environ, status, seconds)
            traffic.trace(self._settings, environ, status, seconds)

    async def _answer(self, environ: Environ, protocol: HTTPProtocol) -> Reply:
        if bodies.is_large(environ):
            # A thread takes the bytes as they come, once the application has admitted the caller.
            environ["wsgi.input"] = bodies.Incoming(protocol, asyncio.get_running_loop())
            return await self._upload(environ)
        body = await bodies.receive(protocol) if bodies.is_announced(environ) else b""
        environ[MAY_STAY] = environ[MAY_STREAM] = None
        reply = await self._serve(environ, body)
        reply.stream = environ.pop(MAY_STREAM, None)
        stay = environ.pop(MAY_STAY, None)
        if stay is not None:
            _close(reply)
            environ[STAYED] = await self._stay(stay, protocol)
            reply = await self._serve(environ, body)
        return reply

    async def _serve(self, environ: Environ, body: bytes) -> Reply:
        """On the spot, or by a thread if the database did not answer at once: nothing has happened then."""
        if self._is_answered_at_once(environ):
            environ["wsgi.input"] = io.BytesIO(body)
            reply = _run(self._prompt, environ)
            if reply.status != UNAVAILABLE:
                return reply
            _close(reply)
            if environ["REQUEST_METHOD"] not in READING and SLOW not in environ:
                self._locked_until = time.monotonic() + LOCKED_S
        environ["wsgi.input"] = io.BytesIO(body)
        return await self._in_thread(environ)

    async def _upload(self, environ: Environ) -> Reply:
        upload = environ[UPLOAD] = self._uploads.enter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._uploading, _run, self._patient, environ)
        finally:
            upload.leave()

    def _is_answered_at_once(self, environ: Environ) -> bool:
        if not self._is_local:
            return bool(environ["PATH_INFO"] == HEALTH)
        # One write has just found SQLite locked: the next ones would each hold up the loop to find out the same.
        return environ["REQUEST_METHOD"] in READING or time.monotonic() > self._locked_until

    async def _in_thread(self, environ: Environ) -> Reply:
        if self._in_hand >= IN_HAND_AT_MOST:
            raise Unavailable("Too many requests wait for the database: send this one again.")
        self._in_hand += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._working, _run, self._patient, environ)
        finally:
            self._in_hand -= 1

    async def _stay(self, stay: Stay, protocol: HTTPProtocol) -> bool:
        """Wait for the job, or until the client has gone."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        guest = self._room.enter(stay, wake)
        if guest is None:
            return False
        watching = {asyncio.ensure_future(woken.wait()), asyncio.ensure_future(protocol.client_disconnect())}
        try:
            # The room wakes it at its limit; should the room be stuck, the client is answered all the same.
            await asyncio.wait(watching, timeout=stay.limit_s + 1, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watch in watching:
                watch.cancel()
            self._room.leave(guest)
        return True

    async def _follow(self, reply: Reply, stream: Stream, protocol: HTTPProtocol) -> None:
        """Send what the streams' thread finds, until the end, or until the client has gone or takes nothing."""
        _close(reply)
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        gone = asyncio.ensure_future(protocol.client_disconnect())
        try:
            headers = [pair for pair in reply.headers or [] if pair[0].lower() != "content-length"]
            transport = protocol.response_stream(int(reply.status), headers)
            await transport.send_bytes(HELLO)
            self._streams.begin(stream, lambda piece: _call(loop, pieces.put_nowait, piece))
            while (piece := await _next(pieces, gone)) is not None:
                await asyncio.wait_for(transport.send_bytes(piece), TAKEN_S)
                stream.is_taken = True
        except TimeoutError:
            log.debug("stream_not_read")
        finally:
            gone.cancel()
            self._streams.leave(stream)

    async def _send(self, reply: Reply, protocol: HTTPProtocol, scope: Scope) -> None:
        headers = reply.headers or []
        length = _header(reply, "content-length")
        try:
            if scope.method == "HEAD" or reply.status in BODILESS:
                protocol.response_empty(int(reply.status), headers)
            elif length is not None and int(length) <= PIECE_BYTES:
                protocol.response_bytes(int(reply.status), headers, b"".join(reply.body))
            elif scope.path.startswith(STATIC) and reply.status == "200":
                # Flask has found it; it lies there for granian as well.
                path = Path(str(self._patient.static_folder)) / scope.path.removeprefix(STATIC)
                protocol.response_file(200, headers, str(path))
            else:
                await self._send_file(
                    reply, [pair for pair in headers if pair[0].lower() != "content-length"], protocol
                )
        finally:
            _close(reply)

    async def _send_file(self, reply: Reply, headers: list[tuple[str, str]], protocol: HTTPProtocol) -> None:
        """By way of a file without a name: granian sends one as fast as its reader takes it, but holds streams whole.

        What goes wrong on the way to the file is told by a status of its own, as nothing has been sent yet.
        """
        loop = asyncio.get_running_loop()
        file = await loop.run_in_executor(self._sending, bodies.spool, reply.body, self._spool)
        size = os.fstat(file.fileno()).st_size
        named = [*headers, ("content-length", str(size))]
        protocol.response_file(int(reply.status), named, f"/dev/fd/{file.fileno()}")
        # Open a little longer than granian takes to open it for itself.
        loop.call_later(OPENED_S, file.close)


def _run(app: Callable[..., Iterable[bytes]], environ: Environ) -> Reply:
    reply = Reply()
    reply.body = app(environ, reply.start)
    return reply


def _header(reply: Reply, wanted: str) -> str | None:
    return next((value for name, value in reply.headers or () if name.lower() == wanted), None)


def _close(reply: Reply) -> None:
    close = getattr(reply.body, "close", None)
    if close is not None:
        close()


async def _next(pieces: "asyncio.Queue[bytes | None]", gone: "asyncio.Future[None]") -> bytes | None:
    """The next piece; None at the end, and once the client has gone."""
    taking = asyncio.ensure_future(pieces.get())
    waiting: set[asyncio.Future[Any]] = {taking, gone}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if taking.done():
        return taking.result()
    taking.cancel()
    return None


def _call(loop: asyncio.AbstractEventLoop, act: Callable[..., None], *given: Any) -> None:
    # A loop that has been closed has nobody left to tell.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(act, *given)


def _refuse(environ: Environ, protocol: HTTPProtocol, error: Exception) -> int:
    request_id = environ.setdefault(errors.REQUEST_ID, ids.new("req"))
    status, body = 500, errors.unforeseen(request_id)
    headers = [("content-type", errors.PROBLEM), ("x-request-id", request_id), *HEADERS, *closing(environ)]
    if isinstance(error, EtudeError):
        status, body = error.status, error.as_json()
        headers += [("retry-after", str(errors.RETRY_AFTER_S))] if error.retryable else []
    protocol.response_bytes(status, headers, errors.document(status, body, request_id))
    return status


def from_environment() -> Gateway:
    """What granian loads."""
    # Or a killed server's own child would answer at the port for ever, beside its successor.
    parent = multiprocessing.parent_process()
    processes.die_with_parent(None if parent is None else parent.pid)
    chosen = read_settings()
    row_security.tell(chosen)
    services = create_services(chosen)
    traces.prepare(chosen)
    database = Database(chosen, busy_ms=PROMPT_MS)
    prompt = replace(services, database=database, keyring=Keyring(database, chosen.pepper), is_prompt=True)
    return Gateway(create_app(prompt), create_app(services), services)
