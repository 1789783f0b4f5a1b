"""The main process's sign of life, and its ear: a worker that has gone deaf ends itself, to be started again.

Celery can lose its ear without a word: its connection may be cut where nobody tells either end. What shows it is work
that lies there for this worker, in SQL, while it has nothing to do and Redis answers everybody else.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from shared import claims, queue, tallies, workers
from shared.claims import Skills
from shared.database import Database
from shared.errors import Unavailable
from shared.log import logger
from shared.settings import Settings
from shared.tallies import Tally
from shared.tenancy import EVERYONE
from worker import footprint, rings
from worker.device_memory import DeviceMemory
from worker.memory_kills import MemoryKills

# Longer than a child takes to begin, a ring to be repeated and a connection to be made again, all one after the other.
DEAF_S = 45.0
# A spawned child imports TensorFlow first.
DEAF_SPAWNED_S = 150.0
EXIT_DEAF = 75

log = logger("presence")


@dataclass(frozen=True)
class Presence:
    """A thread of the main process. Nothing of it may be open or locked while the process forks."""

    settings: Settings
    name: str
    queue: str
    skills: Callable[[], Skills]
    memory_kills: MemoryKills
    # None of one that computes on no card.
    device_memory: DeviceMemory | None
    deaf_s: float
    quiet: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Beat from now on, and never in the middle of a fork."""
        os.register_at_fork(
            before=self.quiet.acquire, after_in_parent=self.quiet.release, after_in_child=self.quiet.release
        )
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def _run(self) -> None:
        waited_for_since: float | None = None
        while True:
            self.memory_kills.look()
            with self.quiet:
                is_waited_for = self._beat()
            # Without Redis nobody hears anything; once it is back, everybody has the whole time to hear again.
            if not (is_waited_for and self._has_redis()):
                waited_for_since = None
            elif waited_for_since is None:
                waited_for_since = time.monotonic()
            elif time.monotonic() - waited_for_since > self.deaf_s:
                log.error("deaf", worker=self.name)
                self._count()
                # It holds nothing that could be lost, and whoever is deaf may not hear a gentler word either.
                os._exit(EXIT_DEAF)
            time.sleep(self.settings.beat_s)

    def _beat(self) -> bool:
        """Say that the worker lives; returns whether jobs wait for it while it does nothing."""
        taken = footprint.memory_bytes()
        devices = None if self.device_memory is None else self.device_memory.look()
        database = Database(self.settings, whose=EVERYONE, pool_size=1)
        try:
            untold = rings.dropped.untold()
            with database.transaction() as sql:
                is_free = workers.beat(sql, self.name, memory_bytes=taken, devices=devices)
                if untold:
                    tallies.add(sql, Tally(tallies.NO_RING, "", self.queue), count=untold)
            rings.dropped.tell(untold)
            if not is_free:
                return False
            with database.reading() as sql:
                limit = self.settings.tenant_running
                return claims.count_due(sql, self.queue, skills=self.skills(), running_at_most=limit) > 0
        except Unavailable as away:
            log.warning("beat_failed", reason=away.code)
            return False
        finally:
            database.close()

    def _count(self) -> None:
        """For /metrics; a database that is away meanwhile does not keep it here."""
        database = Database(self.settings, whose=EVERYONE, pool_size=1)
        with contextlib.suppress(Unavailable), database.transaction() as sql:
            tallies.add(sql, Tally(tallies.DEAF, "", self.queue))

    def _has_redis(self) -> bool:
        try:
            with queue.connect(self.settings) as redis:
                return bool(redis.ping())
        except (RedisError, OSError):
            return False
