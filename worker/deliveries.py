"""The delivering worker, `python -m worker.deliveries`: tells webhooks what is written down for them.

Any number of them may run, and any may be killed: a delivery that one held is sent again, under the same id.
"""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from shared import addresses, deliveries, log, processes, row_security, settings
from shared.database import Database
from shared.deliveries import Claim, Due, Tried
from shared.errors import Unavailable
from shared.receivers import Receivers
from shared.tenancy import EVERYONE
from worker import sending

# A thread waits for a receiver, not for a core.
SENDING_THREADS = 32
# Of one tenant: whose receivers hang, it holds up itself.
OF_A_TENANT = 4
LOOK_S = 0.5
FORGET_S = 60.0
# With the database away it is asked again ever more seldom.
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)

logger = log.logger("deliveries")


class Delivering:
    """One delivering worker: what it has in hand, and of whom."""

    def __init__(
        self, chosen: settings.Settings, *, receivers: Receivers | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        self._database = Database(chosen, whose=EVERYONE, pool_size=4)
        rules = addresses.read_rules(chosen.webhook_ports, chosen.webhook_private)
        # A look-up that hangs outlives its try.
        self._receivers = receivers or Receivers(rules, at_once=2 * SENDING_THREADS)
        self._trust = trust or ssl.create_default_context()
        self._threads = ThreadPoolExecutor(SENDING_THREADS, "sending")
        self._lock, self._in_hand = threading.Lock(), Counter[str]()
        self._forget_at, self._failures = 0.0, 0

    def run(self, stopped: threading.Event) -> None:
        """Deliver until told to stop; what is in hand then is ended first, ten seconds at most."""
        while not stopped.is_set():
            try:
                has_more = self.run_once()
                self._failures = 0
            except Unavailable as away:
                has_more = False
                self._back_off(stopped, away)
            if not has_more:
                stopped.wait(LOOK_S)
        self.close()

    def run_once(self) -> bool:
        """Begin as many tries as there is room for; whether more may be due at once."""
        if time.monotonic() > self._forget_at:
            self._forget()
        wanted = self._choose()
        if not wanted:
            return False
        with self._database.transaction() as sql:
            claimed = deliveries.claim(sql, wanted)
        for claim in claimed:
            self._begin(claim)
        return bool(claimed)

    def close(self) -> None:
        """Wait for what is in hand, and give the connections back."""
        self._threads.shutdown()
        self._database.close()

    def _choose(self) -> list[str]:
        """The deliveries to claim: first of tenants with nothing in hand, so that nobody waits behind a hanging one."""
        with self._lock:
            in_hand = Counter(self._in_hand)
        room = SENDING_THREADS - in_hand.total()
        if room <= 0:
            return []
        full = [tenant for tenant, count in in_hand.items() if count >= OF_A_TENANT]
        return choose(self._list_due(but_of=in_hand) or self._list_due(but_of=full), in_hand, room=room)

    def _list_due(self, *, but_of: Collection[str]) -> list[Due]:
        with self._database.reading() as sql:
            return deliveries.list_due(sql, but_of=but_of)

    def _begin(self, claim: Claim) -> None:
        with self._lock:
            self._in_hand[claim.tenant] += 1
        self._threads.submit(self._deliver, claim)

    def _deliver(self, claim: Claim) -> None:
        try:
            tried = self._send(claim)
            with self._database.transaction() as sql:
                deliveries.record(sql, claim, tried)
        except Unavailable as away:
            # Its lease runs out, and it is sent once more: at least once is what was promised.
            logger.warning("unavailable", code=away.code, delivery=claim.id, tenant=claim.tenant)
        finally:
            with self._lock:
                self._in_hand[claim.tenant] -= 1
                # Only who has something in hand is named.
                self._in_hand += Counter()

    def _send(self, claim: Claim) -> Tried:
        try:
            return sending.send(claim, self._receivers, self._trust)
        except Exception:
            # Whatever one delivery does to it, the others are sent, and this one is tried no more often for it.
            logger.exception("internal", delivery=claim.id, tenant=claim.tenant)
            return Tried(0.0, error="internal")

    def _forget(self) -> None:
        self._forget_at = time.monotonic() + FORGET_S
        with self._database.transaction() as sql:
            deliveries.forget(sql)

    def _back_off(self, stopped: threading.Event, away: Unavailable) -> None:
        if self._failures == 0:
            logger.warning("unavailable", code=away.code)
        stopped.wait(BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)])
        self._failures += 1


def choose(due: Sequence[Due], in_hand: Counter[str], *, room: int) -> list[str]:
    """Which of these to claim: the longest waiting first, of no tenant more than it may have in hand."""
    counts = Counter(in_hand)
    chosen: list[str] = []
    for each in due:
        if counts[each.tenant] < OF_A_TENANT and len(chosen) < room:
            counts[each.tenant] += 1
            chosen.append(each.id)
    return chosen


def main() -> None:
    chosen = settings.read()
    log.configure(chosen.log_level)
    row_security.tell(chosen)
    stopped = processes.when_told_to_stop()
    Delivering(chosen).run(stopped)


if __name__ == "__main__":
    main()
