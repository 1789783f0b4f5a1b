"""Jobs as they were last shown: a poll that finds the same revision sends the same bytes."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from shared.jobs import QUEUED

# A job's document is a few kilobytes.
KEPT = 1000
# The place in the queue changes without the job itself: it may be this old.
PLACE_S = 1.0


class Shown:
    """The newest document of the jobs that are asked for; everything that it shows moves the revision."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, tuple[int, float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, job_id: str, *, revision: int, make: Callable[[], tuple[str, int, bytes]]) -> bytes:
        """The document at this revision; `make` gives state, revision and bytes of a new one."""
        known = self._documents.get(job_id)
        if known is not None and known[0] == revision and known[1] > time.monotonic():
            return known[2]
        state, revision, document = make()
        until = time.monotonic() + PLACE_S if state == QUEUED else float("inf")
        with self._lock:
            self._documents[job_id] = (revision, until, document)
            self._documents.move_to_end(job_id)
            if len(self._documents) > KEPT:
                self._documents.popitem(last=False)
        return document
