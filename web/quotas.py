"""How many jobs a tenant has waiting: counted in SQL once a second, and each time once the limit is near."""

import threading
import time

from sqlalchemy import Connection

from shared import job_list
from shared.errors import TooManyRequests

COUNTED_S = 1.0
# Below this share of the limit a second's worth of submissions does not reach it.
NEAR = 0.9
# What a client may hope for: some of its jobs have begun.
COME_AGAIN_S = 10


class Quotas:
    """The limit on a tenant's waiting jobs; 0 is none."""

    def __init__(self, queued_at_most: int) -> None:
        self._limit = queued_at_most
        self._counted: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, sql: Connection, tenant: str) -> None:
        """Take a place for one more waiting job. Raises TooManyRequests when all are taken."""
        if self._limit == 0:
            return
        with self._lock:
            until, count = self._counted.get(tenant, (0.0, 0))
            if until > time.monotonic() and count < self._limit * NEAR:
                self._counted[tenant] = (until, count + 1)
                return
        count = job_list.count_queued(sql, tenant, at_most=self._limit)
        if count >= self._limit:
            said = f"{count:,} of your jobs wait, as many as may: come again when some have begun, or cancel some."
            raise TooManyRequests(said, code="too_many_jobs", retry_after_s=COME_AGAIN_S)
        with self._lock:
            self._counted[tenant] = (time.monotonic() + COUNTED_S, count + 1)
