"""How often: token buckets by name, kept by one process for itself.

A bucket holds `burst` tokens and gets `rate` a second. Kept of each is one number, the moment at which it will be full
(the generic cell rate algorithm, ITU-T I.371); of one that is full nothing needs to be kept.
"""

import threading
import time
from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from shared.settings import Settings

# Some 0.2 KB each.
SIZE = 20_000


class Taken(NamedTuple):
    """What came of asking for a token: how many a full bucket has and how many are left, and how long until there is
    one (0: it was given) and until all are there again."""

    burst: int
    left: int
    wait_s: float
    full_s: float

    def headers(self) -> list[tuple[str, str]]:
        """What the answer says of it, in whole tokens and seconds."""
        return [
            ("X-RateLimit-Limit", str(self.burst)),
            ("X-RateLimit-Remaining", str(self.left)),
            ("X-RateLimit-Reset", str(ceil(self.full_s))),
        ]


class Buckets:
    """A bucket for each name; a rate of 0 is no limit."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._interval = 1 / rate if rate else 0.0
        self._capacity = burst * self._interval
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> Taken:
        """Take a token, if there is one."""
        if not self.rate:
            return Taken(self.burst, self.burst, 0.0, 0.0)
        with self._lock:
            now = self._clock()
            # No bucket is emptier than empty: should the clock have gone back, nobody waits for longer than that.
            full_s = min(max(self._full_at.get(name, now) - now, 0.0), self._capacity) + self._interval
            wait_s = full_s - self._capacity
            if wait_s > 1e-9:
                return Taken(self.burst, 0, wait_s, full_s - self._interval)
            if len(self._full_at) >= SIZE and name not in self._full_at:
                self._make_room(now)
            self._full_at[name] = now + full_s
            return Taken(self.burst, int((self._capacity - full_s) / self._interval + 1e-6), 0.0, full_s)

    def is_empty(self, name: str) -> bool:
        """Whether the next one would be refused; takes nothing."""
        full_at = self._full_at.get(name)
        return full_at is not None and full_at - self._clock() + self._interval - self._capacity > 1e-9

    def _make_room(self, now: float) -> None:
        """Forget what is full, which loses nothing, or else the half that is fullest."""
        left = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        if len(left) > SIZE // 2:
            left = dict(sorted(left.items(), key=lambda each: each[1])[len(left) // 2 :])
        self._full_at = left


class Rates:
    """The buckets of one web process."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Buckets(settings.key_rate, settings.key_burst)
        self.submissions = Buckets(settings.submission_rate, settings.submission_burst)
        # Of addresses that have shown wrong keys.
        self.strangers = Buckets(settings.wrong_key_rate, settings.wrong_key_burst)
        # Of tenants: a client that is refused in a loop does not fill their log.
        self.refusals = Buckets(1.0, 60)
