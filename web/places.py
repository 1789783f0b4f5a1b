"""How many jobs of its tenant wait before a new one: counted in SQL once a second, and counted on here in between."""

import threading
import time
from typing import Any

from sqlalchemy import Connection, Row

from shared import job_list

# Under a flood of submissions counting would cost more than submitting, and the place changes as fast as it is told.
COUNTED_S = 1.0


class Places:
    """The next free place of each tenant, in each queue and priority."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str, int], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, sql: Connection, row: Row[Any]) -> int:
        """The place of a job that was just submitted, at most COUNTED_S out of date."""
        queue = (row.tenant, row.queue, row.priority)
        with self._lock:
            until, place = self._next.get(queue, (0.0, 0))
            if until > time.monotonic():
                self._next[queue] = (until, place + 1)
                return min(place, job_list.AHEAD_AT_MOST)
        place = job_list.ahead(sql, row)
        with self._lock:
            self._next[queue] = (time.monotonic() + COUNTED_S, place + 1)
        return place
