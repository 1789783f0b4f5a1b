"""Where clients wait for a job to change: one thread asks SQL for all of them, and no one holds a connection."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select

from shared.database import Database
from shared.errors import Unavailable
from shared.jobs import ENDED
from shared.log import logger
from shared.tables import jobs
from shared.tenancy import EVERYONE

# Soon enough that a person sees no delay; one query of primary keys, whatever the number of clients.
ASK_EVERY_S = 0.05
# In the WSGI environment: a server that can answer later offers MAY_STAY and finds there what to wait for; once that
# is over it asks again with STAYED.
MAY_STAY, STAYED = "etude.may_stay", "etude.stayed"

log = logger("waiting")


@dataclass(frozen=True)
class Stay:
    """What a client waits for: any change since a revision, or the end of the job; and for how long at most."""

    job_id: str
    revision: int
    is_for_end: bool
    limit_s: float


@dataclass(eq=False)
class Guest:
    """One waiting request, and how to wake it."""

    stay: Stay
    wake: Callable[[], None]
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.stay.limit_s


class WaitingRoom:
    """At most `size` guests."""

    def __init__(self, database: Database, size: int) -> None:
        self._database, self._size = database, size
        self._guests: dict[str, set[Guest]] = defaultdict(set)
        self._count = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def enter(self, stay: Stay, wake: Callable[[], None]) -> Guest | None:
        """Have `wake` called once, when it has happened or the limit has passed; None when there is no room."""
        guest = Guest(stay, wake)
        with self._changed:
            if self._count >= self._size:
                return None
            self._count += 1
            self._guests[stay.job_id].add(guest)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waiting-room", daemon=True)
                self._thread.start()
            self._changed.notify()
        return guest

    def leave(self, guest: Guest) -> None:
        """Wait no longer: it happened, or the client has gone."""
        with self._changed:
            guests = self._guests.get(guest.stay.job_id)
            if guests is None or guest not in guests:
                return
            guests.discard(guest)
            self._count -= 1
            if not guests:
                del self._guests[guest.stay.job_id]

    def wait(self, stay: Stay) -> bool:
        """Hold this thread for so long: for a server that cannot answer later. False when there is no room."""
        woken = threading.Event()
        guest = self.enter(stay, woken.set)
        if guest is None:
            return False
        woken.wait(stay.limit_s)
        self.leave(guest)
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._guests))
                wanted = list(self._guests)
            found: dict[str, tuple[int, str]] = {}
            try:
                found = self._ask(wanted)
            except Unavailable:
                log.debug("database_away")
            except Exception:
                # Whatever it was, everybody else's wait depends on this thread, and ends at its limit at the latest.
                log.exception("internal")
            for guest in self._take(found):
                guest.wake()
            time.sleep(ASK_EVERY_S)

    def _ask(self, wanted: list[str]) -> dict[str, tuple[int, str]]:
        chosen = select(jobs.c.id, jobs.c.revision, jobs.c.state).where(jobs.c.id.in_(wanted))
        # Of whoever waits; each was let in by its own tenant.
        with self._database.of(EVERYONE).reading() as sql:
            return {row.id: (row.revision, row.state) for row in sql.execute(chosen)}

    def _take(self, found: dict[str, tuple[int, str]]) -> list[Guest]:
        """Those whose wait is over; they have left the room."""
        now = time.monotonic()
        with self._changed:
            over = [
                guest
                for guests in self._guests.values()
                for guest in guests
                if guest.until <= now or _has_happened(guest.stay, found.get(guest.stay.job_id))
            ]
        for guest in over:
            self.leave(guest)
        return over


def _has_happened(stay: Stay, found: tuple[int, str] | None) -> bool:
    if found is None:
        return False
    revision, state = found
    return state in ENDED or (not stay.is_for_end and revision != stay.revision)
