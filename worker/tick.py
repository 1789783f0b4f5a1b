"""The scheduler process, `python -m worker.tick`: reap, settle, fire, sweep, count, ring. Any number of them."""

import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import Connection, Row

from shared import (
    chunks,
    claims,
    datasets,
    fires,
    log,
    processes,
    queue,
    recovery,
    row_security,
    settings,
    studies,
    tallies,
    workers,
)
from shared.database import Database
from shared.errors import Damaged, EtudeError, Unavailable
from shared.sealing import starting
from shared.storage import Storage
from shared.tenancy import EVERYONE
from worker import sweep

# Of a lease: a beat that was kept waiting for so long does not cost it yet.
SLOW_SHARE = 1 / 3
# More schedules may be due than one tick fires; also what a clock that was put back costs at most.
REST_AT_LEAST_S = 0.05

logger = log.logger("tick")


class Tick:
    """One scheduler; all it remembers is when the database was last away."""

    def __init__(self, chosen: settings.Settings) -> None:
        self._settings = chosen
        self._database, self._storage = Database(chosen, whose=EVERYONE, pool_size=1), Storage(chosen)
        self._app = queue.celery_app(chosen)
        self._away_at: float | None = None

    def run_once(self) -> None:
        """Say every statement once; a database or a Redis that is away only makes it later."""
        try:
            began = time.monotonic()
            with self._database.transaction() as sql:
                self._recover(sql)
                if time.monotonic() - began > self._settings.lease_s * SLOW_SHARE:
                    # Frozen meanwhile, it let no worker beat either: take everything back.
                    raise Unavailable("The database was slow to answer.")
            self._fire()
            with self._database.reading() as sql:
                due = {name: self._count_due(sql, name) for name in queue.QUEUES}
            sweep.run(self._database, self._storage)
            sweep.forget_runs(self._database, kept_days=self._settings.runs_kept_days)
            tallies.fold(self._database)
        except Unavailable as away:
            self._away_at = time.monotonic()
            logger.warning("unavailable", code=away.code)
            return
        for name, count in due.items():
            self._top_up(name, count)

    def rest_s(self) -> float:
        """How long nothing is to be done: until the next moment of a schedule, at most a tick."""
        try:
            with self._database.reading() as sql:
                left_s = fires.seconds_to_next(sql)
        except Unavailable:
            left_s = None
        tick_s = self._settings.tick_s
        return tick_s if left_s is None else min(max(left_s, REST_AT_LEAST_S), tick_s)

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()
        self._app.close()

    def _recover(self, sql: Connection) -> None:
        if self._has_amnesty_ended():
            recovery.reap(sql)
        recovery.cancel_left_over(sql)
        studies.steer(sql)
        recovery.expire(sql)
        datasets.settle(sql)
        workers.forget(sql)

    def _fire(self) -> None:
        with self._database.reading() as sql:
            due, waiting = fires.list_due(sql), fires.list_waiting(sql)
        for seen in due:
            self._carry_out(fires.fire, seen)
        for seen in waiting:
            self._carry_out(fires.submit_waiting, seen)

    def _carry_out(self, act: Callable[..., bool], seen: Row[Any]) -> None:
        """Each schedule in a transaction of its own: one that cannot be fired stops no other, nor the scheduler."""
        try:
            with self._database.transaction() as sql:
                act(sql, seen, self._settings)
        except Unavailable:
            raise
        except Damaged as damaged:
            logger.error("damaged", schedule=seen.id, tenant=seen.tenant, detail=damaged.detail)
            self._stop(seen, damaged)
        except Exception as unforeseen:
            logger.exception("internal", schedule=seen.id, exc_info=unforeseen)
            self._stop(seen, EtudeError("The schedule could not be fired; the operator's log says why."))

    def _stop(self, seen: Row[Any], error: EtudeError) -> None:
        with self._database.transaction() as sql:
            fires.stop(sql, seen, error)

    def _count_due(self, sql: Connection, name: str) -> int:
        helpable = chunks.count_helpable(sql) if name == queue.TRAIN else 0
        return claims.count_due(sql, name, running_at_most=self._settings.tenant_running) + helpable

    def _has_amnesty_ended(self) -> bool:
        # While the database was away no worker could beat: each gets a whole lease to do it before it counts as lost.
        return self._away_at is None or time.monotonic() - self._away_at > self._settings.lease_s

    def _top_up(self, name: str, due: int) -> None:
        """Ring as often as jobs wait without a ring; each worker that ends a job rings for the next."""
        if due == 0:
            return
        try:
            missing = min(due, queue.RINGS_AT_ONCE) - queue.count_rings(self._settings, name)
        except (RedisError, OSError):
            logger.warning("redis_away")
            return
        if missing > 0:
            queue.send(self._app, name, count=missing)


def main() -> None:
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    starting.demand(chosen)
    log.configure(chosen.log_level)
    row_security.tell(chosen)
    stopped = processes.when_told_to_stop()
    tick = Tick(chosen)
    while not stopped.is_set():
        tick.run_once()
        stopped.wait(tick.rest_s())
    tick.close()


if __name__ == "__main__":
    main()
