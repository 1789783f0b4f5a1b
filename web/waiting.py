"""Where clients wait for a job to change: one thread asks SQL for all of them, and no one holds a connection."""

import contextlib
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import select

from shared.database import Database
from shared.errors import Unavailable
from shared.jobs import ENDED
from shared.tables import jobs

# Soon enough that a person sees no delay; one query of primary keys, whatever the number of clients.
ASK_EVERY_S = 0.05


@dataclass(eq=False)
class Guest:
    """One waiting request: wakes at any change, or only at the end of the job."""

    revision: int
    is_for_end: bool
    woken: threading.Event = field(default_factory=threading.Event)


class WaitingRoom:
    """At most `size` guests; whoever finds it full is answered at once."""

    def __init__(self, database: Database, size: int) -> None:
        self._database, self._size = database, size
        self._guests: dict[str, set[Guest]] = defaultdict(set)
        self._count = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def wait(self, job_id: str, *, revision: int, is_for_end: bool, limit_s: float) -> bool:
        """Return when the job has changed (or ended), or the limit has passed; False if there is no room."""
        guest = Guest(revision, is_for_end)
        with self._changed:
            if self._count >= self._size:
                return False
            self._count += 1
            self._guests[job_id].add(guest)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waiting-room", daemon=True)
                self._thread.start()
            self._changed.notify()
        guest.woken.wait(limit_s)
        with self._changed:
            self._count -= 1
            self._guests[job_id].discard(guest)
            if not self._guests[job_id]:
                del self._guests[job_id]
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._guests))
                wanted = list(self._guests)
            # With the database away they go on waiting; the request itself tells the client when its time is up.
            with contextlib.suppress(Unavailable):
                self._ask(wanted)
            time.sleep(ASK_EVERY_S)

    def _ask(self, wanted: list[str]) -> None:
        chosen = select(jobs.c.id, jobs.c.revision, jobs.c.state).where(jobs.c.id.in_(wanted))
        with self._database.reading() as sql:
            rows = sql.execute(chosen).all()
        with self._changed:
            for row in rows:
                for guest in self._guests.get(row.id, ()):
                    if row.state in ENDED or (not guest.is_for_end and row.revision != guest.revision):
                        guest.woken.set()
