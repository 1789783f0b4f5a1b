"""The beat of an attempt, in a thread of its own: sign of life, progress and metrics out; wishes in."""

import os
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from shared import claims
from shared.claims import Claim, Wish
from shared.database import Database
from shared.errors import ClaimLost, Drained, JobCancelled, JobFailed, Stalled, Unavailable
from shared.log import logger
from shared.tariff import Tariff
from worker.expense import Expense, helped_before

# Progress is worth a row this often; a client's bar moves smoothly, and a 1 s epoch costs under 1 % of its time.
REPORT_S = 0.5
# An attempt whose steps are known to take long has stalled only when one takes so many times as long as any before.
LONGER_TIMES = 4
# A step of native code may take this long to end before the process ends itself.
GRACE_S = 10.0
EXIT_STUCK = 76

Json = dict[str, Any]
log = logger("heart")


class Pulse(Protocol):
    """What a beat says in SQL, and how an attempt ends whose working thread does not."""

    def beat(self, sql: Connection, *, progress: Json | None, cost: Json | None) -> Wish:
        """Say that the attempt lives. Raises ClaimLost."""

    def leave(self, sql: Connection, reason: Exception, *, cost: Json) -> None:
        """Give up what is held, for this reason. Raises ClaimLost."""


@dataclass(frozen=True)
class JobPulse:
    """Of the worker that has claimed the job."""

    claim: Claim

    def beat(self, sql: Connection, *, progress: Json | None, cost: Json | None) -> Wish:
        return claims.beat(sql, self.claim, progress=progress, cost=cost)

    def leave(self, sql: Connection, reason: Exception, *, cost: Json) -> None:
        if isinstance(reason, JobCancelled):
            claims.finish_cancelled(sql, self.claim, cost=cost)
        elif isinstance(reason, JobFailed):
            claims.fail(sql, self.claim, reason, cost=cost)
        elif isinstance(reason, Stalled):
            claims.stall(sql, self.claim, reason, cost=cost)
        elif isinstance(reason, Drained):
            claims.release(sql, self.claim, cost=cost)


class Heart:
    """Beats until stopped; `check` tells the working thread when to leave."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        *,
        beat_s: float,
        stall_s: float,
        pulse: Pulse | None = None,
        tariff: Tariff | None = None,
    ) -> None:
        self._database, self._claim, self._beat_s = database, claim, beat_s
        self._pulse = pulse or JobPulse(claim)
        self._started = self._moved_at = time.monotonic()
        self._stall_s = stall_s
        self._expense = Expense(claim, tariff or Tariff())
        self._changed = threading.Condition()
        self._beating = threading.Lock()
        # The meter is read by both threads.
        self._counting = threading.Lock()
        self._progress: Json | None = None
        self._epochs: list[Json] = []
        self._leave: Exception | None = None
        self._leave_since = 0.0
        self._is_stopped = False
        # The client wants the training to end here and its best epoch kept.
        self.is_enough = False
        # What other workers have done of the job, in earlier attempts, too.
        self.helped = helped_before(claim)
        # Its lines are those of the job, too.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; no beat follows."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join()

    def report(self, progress: Json, epochs: list[Json] | None = None) -> None:
        """Take progress, and metrics of epochs, along with one of the next beats."""
        with self._changed:
            self._progress = progress
            self._epochs.extend(epochs or [])
            self._changed.notify()

    def move(self) -> None:
        """Take note that the working thread gets on."""
        moment = time.monotonic()
        self._stall_s = max(self._stall_s, LONGER_TIMES * (moment - self._moved_at))
        self._moved_at = moment

    def check(self) -> None:
        """Raise why to leave: ClaimLost, JobCancelled, Drained, Stalled, or JobFailed at the deadline."""
        self.move()
        if self._leave is not None:
            raise self._leave

    @property
    def is_draining(self) -> bool:
        return isinstance(self._leave, Drained)

    def still(self) -> threading.Lock:
        """Hold this, and no beat happens; take it before a transaction, never within one."""
        return self._beating

    def flush(self, sql: Connection) -> None:
        """Write the metrics that no beat has taken, inside the transaction that ends the attempt; be `still`.

        They stay at hand: the transaction may fail and be said again.
        """
        with self._changed:
            rows = list(self._epochs)
        if rows:
            claims.record_epochs(sql, self._claim, rows)

    def cost(self) -> Json:
        """What the job has cost up to now, earlier attempts included."""
        with self._counting:
            return self._expense.read(self.helped)

    def _run(self) -> None:
        while not self._wait():
            try:
                with self._beating:
                    self._beat()
            except ClaimLost as lost:
                self._ask(lost)
            except Unavailable:
                # The database is away: the work goes on, and the reaper gives amnesty when it is back.
                log.warning("beat_failed", job=self._claim.job_id)
            self._watch_for_a_stall()
            self._see_to_the_end()

    def _wait(self) -> bool:
        """Sleep until the next beat is due, or news have waited for REPORT_S; True when the heart has stopped."""
        with self._changed:
            if not self._is_stopped:
                self._changed.wait_for(lambda: self._is_stopped, timeout=min(REPORT_S, self._beat_s))
            until = time.monotonic() + max(0.0, self._beat_s - REPORT_S)
            self._changed.wait_for(
                lambda: self._is_stopped or self._progress is not None or self._leave is not None,
                timeout=max(0.0, until - time.monotonic()),
            )
            return self._is_stopped

    def _beat(self) -> None:
        if isinstance(self._leave, ClaimLost):
            return
        with self._changed:
            progress, self._progress = self._progress, None
            rows, self._epochs = self._epochs, []
        try:
            with self._database.transaction() as sql:
                cost = self.cost() if progress else None
                wish = self._pulse.beat(sql, progress=progress, cost=cost)
                if rows:
                    claims.record_epochs(sql, self._claim, rows)
        except Unavailable:
            with self._changed:
                self._epochs = rows + self._epochs
            raise
        self._heed(wish)

    def _heed(self, wish: Wish) -> None:
        if wish.cancel and wish.keep == "best":
            self.is_enough = True
        elif wish.cancel:
            self._ask(JobCancelled("The client asked for it."))
        elif self._is_late():
            said = "The deadline passed while the job ran: allow more time, or ask for less."
            self._ask(JobFailed(said, code="deadline_passed"))
        elif wish.drain:
            self._ask(Drained())

    def _watch_for_a_stall(self) -> None:
        if time.monotonic() - self._moved_at > self._stall_s:
            said = f"Nothing moved for {self._stall_s:g} s: split the work, or have ETUDE_STALL_S raised."
            self._ask(Stalled(said))

    def _is_late(self) -> bool:
        limit = self._claim.deadline_in_s
        return limit is not None and time.monotonic() - self._started > limit

    def _ask(self, reason: Exception) -> None:
        if self._leave is None or isinstance(reason, ClaimLost):
            self._leave = reason
            self._leave_since = self._leave_since or time.monotonic()

    def _see_to_the_end(self) -> None:
        """End the process when the working thread does not leave: it is its own process, so it hits nobody else."""
        # Who still moves is putting away what it has.
        if self._leave is None or time.monotonic() - max(self._leave_since, self._moved_at) < GRACE_S:
            return
        log.error("stuck", job=self._claim.job_id, reason=type(self._leave).__name__)
        try:
            with self._database.transaction() as sql:
                self._pulse.leave(sql, self._leave, cost=self.cost())
        except (ClaimLost, Unavailable):
            log.warning("ended_without_a_word", job=self._claim.job_id)
        os._exit(EXIT_STUCK)
