"""Live streams of events: one thread asks SQL for all of them, and no stream holds a thread or a connection.

A stream is asked about again only once its last piece has been taken, and it ends itself after so many bytes: whoever
reads slowly holds no more than that. The client comes again with the last id that it has seen, and misses nothing.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select

from shared import feed, job_list
from shared.database import Database
from shared.errors import Damaged, TooManyRequests, Unauthorised, Unavailable
from shared.feed import Wanted
from shared.jobs import ENDED
from shared.keys import Keyring
from shared.log import logger
from shared.tables import jobs
from shared.tenancy import EVERYONE
from web import responses, stopping
from web.event_ids import EventIds

MEDIA_TYPE = "text/event-stream"
# In the WSGI environment: a server that can stream offers MAY_STREAM and finds the stream there.
MAY_STREAM = "etude.may_stream"
# Soon enough that a person sees no delay.
ASK_EVERY_S = 0.2
# While somebody is behind: until the last piece has been handed over.
GO_ON_S = 0.01
# What is written without a change of the job's row is told within this.
LOOK_EVERY_S = 2.0
# A key that was revoked opens doors for 5 s more (shared/keys.py).
KEY_EVERY_S = 2.0
# Proxies give up a connection that is silent for a minute.
BEAT_EVERY_S = 15.0
EVENTS_AT_ONCE = 100
PIECE_BYTES = 64 * 1024
# A thousand events or so; granian may hold all that a slow reader has not taken yet.
BYTES_AT_MOST = 256 * 1024
# What a client waits before it comes again.
RETRY_MS = 1000
HELLO = f"retry: {RETRY_MS}\n\n".encode()
# Of all streams, those of one tenant: another one finds a place.
TENANT_SHARE = 0.5

log = logger("streams")
Push = Callable[[bytes | None], None]


@dataclass(eq=False)
class Stream:
    """One client that listens: to a job, whose ids are the numbers of its events, or to all jobs of its tenant."""

    wanted: Wanted
    is_of_job: bool
    after: int
    authorization: str | None
    push: Push | None = None
    is_taken: bool = True
    sent_bytes: int = 0
    revision: int = -1
    progress: Any = None
    looked_at: float = 0.0
    sent_at: float = field(default_factory=time.monotonic)
    known_at: float = field(default_factory=time.monotonic)


class Streams:
    """At most `size` of them."""

    def __init__(self, database: Database, keyring: Keyring, ids: EventIds, size: int) -> None:
        self._database, self._keyring, self._ids, self._size = database, keyring, ids, size
        self._open: set[Stream] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def enter(self, stream: Stream) -> None:
        """Keep a place. Raises TooManyRequests or Unavailable when there is none."""
        with self._changed:
            if len(self._open) >= self._size:
                raise Unavailable("Too many clients listen to events: come again, or poll.", code="too_many_streams")
            mine = sum(each.wanted.tenant == stream.wanted.tenant for each in self._open)
            if mine >= max(1, int(self._size * TENANT_SHARE)):
                raise TooManyRequests("Too many of your clients listen to events: end one.", code="too_many_streams")
            self._open.add(stream)

    def begin(self, stream: Stream, push: Push) -> None:
        """Have `push` called with each piece, and with None at the end."""
        with self._changed:
            stream.push = push
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()
            self._changed.notify()

    def leave(self, stream: Stream) -> None:
        with self._changed:
            self._open.discard(stream)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._open))
                ready = [each for each in self._open if each.push is not None and each.is_taken]
            if stopping.is_said():
                self._end(ready)
            is_behind = False
            try:
                self._beat(ready)
                is_behind = self._serve([stream for stream in ready if stream in self._open])
            except Unavailable:
                log.debug("database_away")
            except Exception:
                # Everybody else's stream depends on this thread.
                log.exception("internal")
                self._end(ready)
            time.sleep(GO_ON_S if is_behind else ASK_EVERY_S)

    def _beat(self, ready: list[Stream]) -> None:
        """Say to each that has heard nothing for a while that it is still heard; the database has no part in it."""
        for stream in ready:
            if time.monotonic() - stream.sent_at > BEAT_EVERY_S:
                # What a filter left out need not be looked through again.
                place = "" if stream.is_of_job else f"id: {self._ids.say(stream.wanted.tenant, stream.after)}\n"
                self._send(stream, f": beat\n{place}\n".encode())

    def _serve(self, ready: list[Stream]) -> bool:
        """Tell each what is new; returns whether there is more at once."""
        for stream in ready:
            if time.monotonic() - stream.known_at > KEY_EVERY_S and not self._is_known(stream):
                self._end([stream])
        ready = [stream for stream in ready if stream.is_taken and stream in self._open]
        behind = self._serve_jobs([stream for stream in ready if stream.is_of_job])
        of_all = [stream for stream in ready if not stream.is_of_job]
        upto = feed.horizon(self._database.of(EVERYONE)) if of_all else 0
        told = [self._serve_if_it_can_be(each, functools.partial(self._serve_feed, each, upto)) for each in of_all]
        return any([behind, *told])

    def _is_known(self, stream: Stream) -> bool:
        try:
            if self._keyring.identify(stream.authorization).is_suspended:
                return False
        except Unauthorised:
            return False
        stream.known_at = time.monotonic()
        return True

    def _serve_jobs(self, streams: list[Stream]) -> bool:
        if not streams:
            return False
        wanted = sorted({str(stream.wanted.job) for stream in streams})
        chosen = select(jobs.c.id, jobs.c.revision, jobs.c.state, jobs.c.stage, jobs.c.progress, jobs.c.attempt)
        # Ids that were let in by their own tenants, all in one question.
        with self._database.of(EVERYONE).reading() as sql:
            found = {row.id: row for row in sql.execute(chosen.where(jobs.c.id.in_(wanted)))}
        is_behind = False
        for stream in streams:
            row = found.get(str(stream.wanted.job))
            if row is None:
                self._end([stream])  # deleted
            elif row.revision != stream.revision or time.monotonic() - stream.looked_at > LOOK_EVERY_S:
                is_behind |= self._serve_if_it_can_be(stream, functools.partial(self._serve_job, stream, row))
        return is_behind

    def _serve_if_it_can_be(self, stream: Stream, serve: Callable[[], bool]) -> bool:
        """What cannot be read of one tenant ends its own streams, and nobody else's."""
        try:
            return serve()
        except Damaged as damaged:
            log.error("damaged", tenant=stream.wanted.tenant, detail=damaged.detail)
            self._end([stream])
            return False

    def _serve_job(self, stream: Stream, row: Any) -> bool:
        """What is new of a job; its row was read before its events, so an end that it tells of is among them."""
        with self._database.of(stream.wanted.tenant).reading() as sql:
            found = job_list.list_events(sql, row.id, after=stream.after, limit=EVENTS_AT_ONCE)
        pieces = _fitting(_piece(str(event.seq), event.type, responses.event(event)) for event in found)
        is_all = len(pieces) == len(found) < EVENTS_AT_ONCE
        stream.after = found[len(pieces) - 1].seq if pieces else stream.after
        if is_all:
            stream.revision, stream.looked_at = row.revision, time.monotonic()
            if row.progress != stream.progress and row.progress is not None and row.state not in ENDED:
                pieces.append(_progress(row))
            stream.progress = row.progress
        if pieces:
            self._send(stream, b"".join(pieces))
        if is_all and row.state in ENDED:
            self._end([stream])
        return not is_all

    def _serve_feed(self, stream: Stream, upto: int) -> bool:
        if upto <= stream.after:
            return False
        with self._database.of(stream.wanted.tenant).reading() as sql:
            page = feed.page(sql, stream.wanted, after=stream.after, upto=upto, limit=EVENTS_AT_ONCE)
        pieces = _fitting(self._feed_piece(stream.wanted.tenant, event) for event in page.events)
        is_cut = len(pieces) < len(page.events)
        stream.after = page.events[len(pieces) - 1].position if is_cut else page.read_to
        if pieces:
            self._send(stream, b"".join(pieces))
        return is_cut or page.has_more

    def _feed_piece(self, tenant: str, event: Any) -> bytes:
        id = self._ids.say(tenant, event.position)
        return _piece(id, event.type, responses.feed_event(event, id=id))

    def _send(self, stream: Stream, piece: bytes) -> None:
        stream.sent_at, stream.is_taken = time.monotonic(), False
        stream.sent_bytes += len(piece)
        assert stream.push is not None
        stream.push(piece)
        if stream.sent_bytes > BYTES_AT_MOST:
            self._end([stream])

    def _end(self, streams: list[Stream]) -> None:
        for stream in streams:
            self.leave(stream)
            if stream.push is not None:
                stream.push(None)


def _fitting(pieces: Iterable[bytes]) -> list[bytes]:
    """As many of these as make one piece; at least the first."""
    taken: list[bytes] = []
    size = 0
    for piece in pieces:
        if taken and size + len(piece) > PIECE_BYTES:
            break
        taken.append(piece)
        size += len(piece)
    return taken


def _piece(id: str, type_: str, said: dict[str, Any]) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (id.encode(), type_.encode(), orjson.dumps(said))


def _progress(row: Any) -> bytes:
    """Without an id: it is how things stand, and whoever comes again is told how they stand then."""
    said = {"type": "progress", "data": {"stage": row.stage, "attempt": row.attempt, "progress": row.progress}}
    return b"event: progress\ndata: %s\n\n" % orjson.dumps(said)
