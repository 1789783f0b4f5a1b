"""Questions that a client waits for, by way of Redis: web asks, an answering worker answers.

Both lie there sealed under the tenant's key, each for good under its own name: whoever reads Redis, or what it has
saved, reads neither, and whoever writes there cannot give the answer to one question to another.

The list holds ids alone. A question lies under a key of its own and vanishes when nobody waits for it any more, so that
no two clocks are compared; whoever takes it there is the only one to do so. What Redis loses is asked again.
"""

import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter
from redis import Redis
from redis.exceptions import RedisError

from shared import queue
from shared.errors import Damaged, EtudeError, Fault, InvalidRequest, NotAllowedNow, NotFound, Unavailable
from shared.list_params import ListParams
from shared.log import logger
from shared.schema import Closed
from shared.sealing.cells import Cells, is_sealed
from shared.settings import Settings

WAITING = "etude.questions"
# Of the 16 threads that a web process works with: the other half is there for all other calls, however slow an answer.
ASKING_AT_ONCE = 8
# Of all web processes together; whoever comes after so many would hardly be answered in time.
MOST_WAITING = 256
# One wait. A socket that says nothing for a second longer belongs to a frozen server.
WAIT_S, SILENT_S = 0.5, 1.5
# Redis 6 takes anything under a millisecond for ever.
LEAST_WAIT_S = 0.01
# An answer is fetched at once or never.
ANSWER_KEPT_MS = 5000
# An answering worker says so every BEAT_S; while it loads a catalogue, 6 s of a core for the largest, it says nothing.
BEAT_S, BEAT_KEPT_S = 10.0, 60

Json = dict[str, Any]

# In the place of an answer, and all that is said unsealed: whoever could not read a question has no key to seal with.
UNREAD = orjson.dumps(
    {
        "status": Unavailable.status,
        "code": Unavailable.code,
        "detail": "A question or its answer could not be read on its way. Ask again; if that goes on, web and the"
        " answering workers are not of one release or do not share their keys.",
        "faults": [],
        "retry_after_s": 2,
    }
)

log = logger("questions")

# An answer that is an error is raised again as the one that it was.
ERRORS: dict[int, type[EtudeError]] = {
    each.status: each for each in (NotFound, NotAllowedNow, InvalidRequest, Unavailable)
}


class Question(Closed):
    """Which tracks of a dataset sound like this one? `where` keeps those with these values in these columns."""

    tenant: str
    dataset: str  # its id
    track: str
    k: int
    where: dict[str, str]


class Comparison(Closed):
    """Which rows do two scorings predict otherwise? From the `first` of these on."""

    tenant: str
    here: str
    there: str
    first: int
    limit: int


class Wish(Closed):
    """What would a listener like? One of a dataset, or one who has played these items; or what is like one item."""

    tenant: str
    version: str  # its id
    dataset: str | None  # its id; None: nobody of a dataset is asked about
    user: str | None
    played: dict[str, float] | None
    like: str | None
    wanted: ListParams


Asked = Question | Comparison | Wish
_ASKED: TypeAdapter[Asked] = TypeAdapter(Asked)


def read(content: bytes) -> Asked:
    """The question that was put."""
    return _ASKED.validate_json(content)


@dataclass(frozen=True)
class Taken:
    """A question in the hands of the one worker that answers it: opened, and not read yet."""

    name: str
    tenant: str
    content: bytes


class Asker:
    """Asks, and waits for the answer: safe to use from every thread."""

    def __init__(self, settings: Settings, cells: Cells) -> None:
        self._redis, self._cells, self._limit_s = _connect(settings), cells, settings.answer_s
        self._seats = threading.Semaphore(ASKING_AT_ONCE)

    def ask(self, question: Asked) -> Json:
        """The answer. Raises the error that it is, and Unavailable when there is none within the limit."""
        if not self._seats.acquire(blocking=False):
            raise Unavailable("Too many clients ask at this moment: ask again.", retry_after_s=1)
        try:
            return self._read(question.tenant, *self._wait(question))
        except (RedisError, OSError) as cause:
            raise Unavailable("Redis is away, and no question reaches who could answer: ask again.") from cause
        finally:
            self._seats.release()

    def close(self) -> None:
        self._redis.close()

    def _wait(self, question: Asked) -> tuple[str, bytes]:
        """The question's name, and what was given to it."""
        name, until = secrets.token_hex(16), time.monotonic() + self._limit_s
        self._put(name, question)
        while (left_s := until - time.monotonic()) > 0:
            found = _pop(self._redis, _answer(name), max(LEAST_WAIT_S, min(left_s, WAIT_S)))
            if found is not None:
                return name, found
        self._withdraw(name)
        said = f"No answer came within {self._limit_s:g} s; a large dataset takes longer the first time: ask again."
        raise Unavailable(said, code="answer_late", retry_after_s=1)

    def _read(self, tenant: str, name: str, given: bytes) -> Json:
        """The answer, of what was given to a question. Raises the error that it is."""
        try:
            return _read(_open(self._cells, _answer(name), given, whose=tenant).content)
        except Damaged as cause:
            log.warning("answer_unreadable", question=name, detail=cause.detail)
            return _read(UNREAD)

    def _put(self, name: str, question: Asked) -> None:
        sealed = self._cells.seal(question.tenant, _question(name), question.model_dump_json())
        with self._redis.pipeline() as both:
            both.set(_question(name), sealed, px=max(1, round(self._limit_s * 1000)))
            both.rpush(WAITING, name)
            _, waiting = both.execute()
        if waiting > MOST_WAITING:
            self._withdraw(name)
            raise Unavailable("Too many questions wait for an answer: ask again.", retry_after_s=1)

    def _withdraw(self, name: str) -> None:
        with self._redis.pipeline() as all_of_it:
            all_of_it.delete(_question(name), _answer(name))
            all_of_it.lrem(WAITING, 1, name)
            all_of_it.execute()


class Inbox:
    """Where an answering worker takes questions from. What it says raises RedisError or OSError while Redis is away."""

    def __init__(self, settings: Settings, cells: Cells) -> None:
        self._redis, self._cells = _connect(settings), cells

    def take(self) -> Taken | None:
        """The next question, within WAIT_S; None when there is none, or nobody waits for it any more.

        One that cannot be read is answered so at once, and is none either.
        """
        found = _pop(self._redis, WAITING, WAIT_S)
        if found is None:
            return None
        name = found.decode()
        content: Any = self._redis.getdel(_question(name))  # Any: bytes, which its types do not know
        return None if content is None else self._open(name, content)

    def answer(self, taken: Taken, body: bytes) -> None:
        """Give the answer, JSON, to whoever waits."""
        self._give(taken, b'{"status":200,"body":' + body + b"}")

    def refuse(self, taken: Taken, error: EtudeError) -> None:
        """Give an error instead, to be raised where the question came from."""
        faults = [asdict(fault) for fault in error.faults]
        said = {"status": error.status, "code": error.code, "detail": error.detail, "faults": faults}
        self._give(taken, orjson.dumps({**said, "retry_after_s": error.retry_after_s}))

    def beat(self) -> None:
        """Say that somebody on this host answers."""
        self._redis.set(_beat(), b"", ex=BEAT_KEPT_S)

    def close(self) -> None:
        self._redis.close()

    def _open(self, name: str, content: bytes) -> Taken | None:
        try:
            opened = _open(self._cells, _question(name), content, whose=None)
        except EtudeError as error:
            # Of one question; the next may be another tenant's.
            log.warning("question_unreadable", question=name, detail=error.detail)
            self._push(name, UNREAD)
            return None
        return Taken(name, opened.tenant, opened.content)

    def _give(self, taken: Taken, content: bytes) -> None:
        try:
            sealed = self._cells.seal(taken.tenant, _answer(taken.name), content.decode()).encode()
        except EtudeError as error:
            log.warning("answer_unsealed", question=taken.name, detail=error.detail)
            sealed = UNREAD
        self._push(taken.name, sealed)

    def _push(self, name: str, content: bytes) -> None:
        with self._redis.pipeline() as both:
            both.rpush(_answer(name), content)
            both.pexpire(_answer(name), ANSWER_KEPT_MS)
            both.execute()


def is_answered(settings: Settings) -> bool:
    """Whether somebody on this host has said of late that it answers. Raises Unavailable when Redis is away."""
    try:
        with _connect(settings) as redis:
            return bool(redis.exists(_beat()))
    except (RedisError, OSError) as cause:
        raise Unavailable("Redis is away.") from cause


class _Opened(NamedTuple):
    """What came by Redis, and the tenant whose key has opened it."""

    tenant: str
    content: bytes


def _open(cells: Cells, what: str, given: bytes, *, whose: str | None) -> _Opened:
    """Of what was put under the name `what`. Raises Damaged for anything that was not sealed there, and Unavailable."""
    cell = given.decode("ascii", "replace")
    if not is_sealed(cell):
        raise Damaged("What came by Redis is not sealed.")
    return _Opened(cell.split(".", 2)[1], cells.open(what, cell, whose=whose).encode())


def _read(content: bytes) -> Json:
    said: Json = orjson.loads(content)
    if said["status"] == 200:
        body: Json = said["body"]
        return body
    error = ERRORS.get(said["status"], EtudeError)
    faults = [Fault(**fault) for fault in said["faults"]]
    raise error(said["detail"], code=said["code"], faults=faults, retry_after_s=said["retry_after_s"])


def _connect(settings: Settings) -> Redis:
    """A pool of connections that wait longer for an answer than Redis does for something to pop."""
    redis = queue.connect(settings)
    redis.get_connection_kwargs()["socket_timeout"] = SILENT_S
    return redis


def _pop(redis: Redis, key: str, timeout_s: float) -> bytes | None:
    found: Any = redis.blpop([key], timeout=timeout_s)  # Any: the key and bytes, which its types do not know
    return None if found is None else found[1]


def _question(name: str) -> str:
    return f"etude.question.{name}"


def _answer(name: str) -> str:
    return f"etude.answer.{name}"


def _beat() -> str:
    return f"etude.answers.{socket.gethostname()}"
