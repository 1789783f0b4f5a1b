"""The receiver behind a webhook's URL: its name is looked up once, every address judged, and no other one connected to.

A name may lead elsewhere a moment later; so whoever connects does it to an address from here, never to the name.
"""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from shared import addresses
from shared.addresses import Rules, Target
from shared.errors import Unavailable

LookUp = Callable[..., Any]  # Any: the rows of socket.getaddrinfo


@dataclass(frozen=True)
class Receiver:
    """Where to connect to, and which name to say there."""

    target: Target
    addresses: list[str]


class Receivers:
    """Finds receivers; at most `at_once` names are being looked up, for the system's look-up cannot be called off."""

    def __init__(self, rules: Rules, *, at_once: int, look_up: LookUp = socket.getaddrinfo) -> None:
        self._rules, self._look_up = rules, look_up
        self._seats = threading.Semaphore(at_once)

    def find(self, url: str, *, limit_s: float) -> Receiver:
        """The receiver of a URL. Raises InvalidRequest for one that may not be, Unavailable with too many in hand."""
        target = addresses.read(url, self._rules)
        found = self._resolve(target, limit_s)
        addresses.check(target, found, self._rules)
        return Receiver(target, found)

    def _resolve(self, target: Target, limit_s: float) -> list[str]:
        if not self._seats.acquire(blocking=False):
            raise Unavailable("Too many names are being looked up: send the request again.", retry_after_s=2)
        said: Future[Any] = Future()
        # A daemon: a name server that never answers must not keep the process from ending.
        threading.Thread(target=self._ask, args=[target, said], daemon=True).start()
        try:
            rows = said.result(limit_s)
        except (OSError, UnicodeError) as cause:
            raise addresses.refusal() from cause
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    def _ask(self, target: Target, said: "Future[Any]") -> None:
        try:
            said.set_result(self._look_up(target.host, target.port, type=socket.SOCK_STREAM))
        except Exception as cause:
            # Raised again where the answer is waited for.
            said.set_exception(cause)
        finally:
            self._seats.release()
