"""HTTP that may be repeated: a service that is away for a moment is asked again, and nothing is done twice."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import httpx

from etude.connection import Connection
from etude.errors import Refused, Unreachable
from etude.version import VERSION

# Longer than any restart of a part of the service; shorter while it has never answered: then it may not be there.
PATIENCE_S, FIRST_PATIENCE_S = 120.0, 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
# A long poll lasts a minute at most; the answer may take a little longer.
TIMEOUT = httpx.Timeout(connect=5.0, read=75.0, write=75.0, pool=5.0)
# The service gives no more at once.
LONGEST_PAGE = 200
TOO_MANY = 429
LATER = (TOO_MANY, 502, 503, 504)

Json = dict[str, Any]
Body = Callable[[], Iterator[bytes]]
Progress = Callable[[int, int], None]


class Transport:
    """One connection pool to one service."""

    def __init__(self, connection: Connection, *, patience_s: float = PATIENCE_S) -> None:
        self.url = connection.url
        self._patience_s, self._has_answered = patience_s, False
        headers = {"Authorization": f"Bearer {connection.key}", "User-Agent": f"etude-client/{VERSION}"}
        self._http = httpx.Client(base_url=connection.url, headers=headers, timeout=TIMEOUT, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, *, query: Json | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        return self._send("GET", path, params=query, headers=headers or {})

    def post(self, path: str, body: Json | list[Json] | None = None, *, query: Json | None = None) -> Json:
        """Send once in effect, however often in fact: the service replays its first answer to the same key."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return _read(self._send("POST", path, json=body, params=query, headers=headers))

    def post_csv(self, path: str, content: bytes) -> Json:
        """Send a table; for a call that does no more if it is repeated."""
        return _read(self._send("POST", path, content=content, headers={"Content-Type": "text/csv"}))

    def put(self, path: str, body: Json) -> Json:
        return _read(self._send("PUT", path, json=body, headers={}))

    def patch(self, path: str, body: Json) -> Json:
        return _read(self._send("PATCH", path, json=body, headers={}))

    def delete(self, path: str) -> httpx.Response:
        return self._send("DELETE", path, headers={})

    def upload(self, path: str, body: Body, *, headers: dict[str, str]) -> None:
        """Put bytes; `body` makes them anew for each try."""
        self._repeat(lambda: self._http.put(path, content=body(), headers=headers))

    def save(self, path: str, file: IO[bytes], *, accept: str, progress: Progress | None = None) -> None:
        """Write the body of a GET into a file; a connection that breaks begins again.

        `progress` hears the bytes that have come, and how many there are, 0 where the service does not say.
        """

        def ask() -> httpx.Response:
            with self._http.stream("GET", path, headers={"Accept": accept}) as answer:
                if answer.is_error:
                    answer.read()
                    return answer
                file.seek(0)
                file.truncate()
                total = int(answer.headers.get("Content-Length", 0))
                for block in answer.iter_bytes():
                    file.write(block)
                    if progress is not None:
                        progress(answer.num_bytes_downloaded, total)
                return answer

        self._repeat(ask)

    @contextmanager
    def streamed(self, path: str, *, query: Json, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes; whoever reads meets a connection that breaks."""

        def ask() -> httpx.Response:
            made = self._http.build_request("GET", path, params=query, headers=headers, timeout=TIMEOUT)
            answer = self._http.send(made, stream=True)
            if answer.is_error:
                answer.read()
            return answer

        answer = self._repeat(ask)
        try:
            yield answer
        finally:
            answer.close()

    def listed(self, path: str, query: Json, limit: int | None) -> Iterator[Json]:
        """The entries of a list, page after page, at most `limit`."""
        cursor, left = None, limit
        while left is None or left > 0:
            page_size = LONGEST_PAGE if left is None else min(left, LONGEST_PAGE)
            asked = {**query, "limit": page_size, **({"cursor": cursor} if cursor else {})}
            page = self.get(path, query=asked).json()
            yield from page["data"]
            left = None if left is None else left - len(page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _send(self, method: str, path: str, **named: Any) -> httpx.Response:  # Any: httpx's own arguments
        return self._repeat(lambda: self._http.request(method, path, **named))

    def _repeat(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask until there is an answer that counts. Raises Refused, or Unreachable once patience is at its end."""
        patience_s = self._patience_s if self._has_answered else min(self._patience_s, FIRST_PATIENCE_S)
        until, pause_s = time.monotonic() + patience_s, FIRST_PAUSE_S
        while True:
            wait_s, why = pause_s, ""
            try:
                answer = ask()
                self._has_answered = True
                if answer.status_code not in LATER:
                    if answer.is_error:
                        raise _refusal(answer)
                    return answer
                why = f"it answered {answer.status_code}"
                wait_s = _pause_of(answer, pause_s)
                if answer.status_code == TOO_MANY and time.monotonic() + max(wait_s, _told_s(answer)) > until:
                    # It is there, and says what there is too much of.
                    raise _refusal(answer)
            except (httpx.TransportError, OSError) as away:
                why = str(away) or type(away).__name__
            if time.monotonic() + wait_s > until:
                raise Unreachable(f"Etude at {self.url} cannot be reached ({why}): is it running? `make up` starts it.")
            time.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 — so that many clients do not ask in step
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _pause_of(answer: httpx.Response, pause_s: float) -> float:
    return min(_told_s(answer), LONGEST_PAUSE_S) or pause_s


def _told_s(answer: httpx.Response) -> float:
    """How long the service says to wait; 0 where it does not."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else 0.0


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"title": f"The service answered {answer.status_code}", "code": "unknown"}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def _read(answer: httpx.Response) -> Json:
    said: Json = answer.json() if answer.content else {}
    return said
