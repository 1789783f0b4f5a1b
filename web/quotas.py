"""A place for one more job: far from the limits nothing is counted for a second, near them each time and in turn."""

import threading
import time
from typing import NamedTuple

from sqlalchemy import Connection

from shared import quotas
from shared.settings import Settings

COUNTED_S = 1.0
# More than all processes together accept of a tenant within COUNTED_S.
FAR = 5000
NEVER_FULL = 10**12


class _Seen(NamedTuple):
    until: float
    free: int


class Quotas:
    """What stands before every submission; the limits themselves are in shared/quotas.py."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def take(self, sql: Connection, tenant: str) -> None:
        """Take a place for one more job. Raises TooManyRequests when all are taken, or the day's compute is."""
        with self._lock:
            seen = self._seen.get(tenant)
            if seen is not None and seen.until > time.monotonic() and seen.free > FAR:
                self._seen[tenant] = seen._replace(free=seen.free - 1)
                return
        limits = quotas.of_tenant(sql, tenant, self._settings)
        quotas.demand_compute(sql, tenant, limits.compute_s)
        count = quotas.demand_queue(sql, tenant, limits.queued)
        free = NEVER_FULL if limits.queued is None else limits.queued - count
        if limits.compute_s is None:
            with self._lock:
                self._seen[tenant] = _Seen(time.monotonic() + COUNTED_S, free)
