"""The worker's main process: `python -m worker.app --queue train --slot 1`. It holds the pool and no tensor.

The main process of a training worker imports TensorFlow and runs no operation of it, so that a forked child is ready
in 10 ms and shares the library's memory; one operation here, and every child would hang (docs/decisions/0002).
"""

import argparse
import gc
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.concurrency import asynpool
from celery.exceptions import WorkerLostError

from shared import ids, log, queue, recovery, row_security, settings, traces, workers
from shared.containment import minimum, tier
from shared.database import Database
from shared.errors import Unavailable
from shared.sealing import starting
from shared.tenancy import EVERYONE
from worker import post, presence, rings, tasks
from worker.device_memory import DeviceMemory
from worker.memory_kills import MemoryKills
from worker.presence import Presence

# billiard asks for a number before it asks us; see worker/process.py.
RECYCLE_KIB = 2**30
# Short beside what a lost attempt has to do again.
WATCH_S = 0.5

logger = log.logger("app")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker.app", description="An Etude worker.")
    parser.add_argument("--queue", choices=queue.QUEUES, default=queue.TRAIN)
    parser.add_argument("--slot", default="1", help="which of this host's workers it is; survives a restart")
    arguments = parser.parse_args()
    chosen = settings.read()
    settings.demand(chosen, "redis_url", "pepper")
    minimum.demand(chosen)
    traces.demand(chosen)
    starting.demand_before_fork(chosen)
    log.configure(chosen.log_level)
    row_security.tell(chosen)
    serve(chosen, queue_name=arguments.queue, slot=arguments.slot)


def serve(chosen: settings.Settings, *, queue_name: str, slot: str) -> None:
    """Run the worker until it is told to stop."""
    name = workers.name_of(queue_name, slot)
    # Before any fork, so that every child knows it.
    found = tier.measured()
    logger.info("contained", worker=name, tier=found.tier, missing=sorted(found.missing))
    rings.hear_nothing_else()
    app = queue.celery_app(chosen, is_worker=True)
    app.conf.worker_max_memory_per_child = RECYCLE_KIB
    app.conf.worker_pool_start_method = start_method()
    app.conf.imports = (tasks.__name__,)
    _watch_children()
    _listen(chosen, app, name=name, queue_name=queue_name)
    app.worker_main(
        ["worker", "--queues", queue_name, "--hostname", name, "--without-gossip", "--without-mingle",
         "--without-heartbeat", "--loglevel", "WARNING"]
    )  # fmt: skip


def start_method() -> str:
    """Fork where it is safe: not on macOS, whose frameworks forbid it, nor beside CUDA, which was not tried."""
    # A container that was given the second card has nvidia1 and no nvidia0.
    has_gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    return "spawn" if sys.platform == "darwin" or has_gpu else "fork"


def _watch_children() -> None:
    """Have the pool look at its child twice a second.

    Its own way is to look once, when the child's pipe closes, and then every 5 s; but the pipe of a killed process may
    close a moment before the kernel says that it has ended, and then nobody noticed for those 5 s (measured).
    """
    asynpool.AsynPool.timers = property(lambda pool: {pool.maintain_pool: WATCH_S})


def _listen(chosen: settings.Settings, app: Celery, *, name: str, queue_name: str) -> None:
    database = Database(chosen, whose=EVERYONE, pool_size=1)
    memory_kills = MemoryKills()

    def tell(write: Any, *arguments: Any, **named: Any) -> Any:  # Any: whatever the verb takes and gives
        try:
            with database.transaction() as sql:
                return write(sql, *arguments, **named)
        except Unavailable as away:
            # The lease says the same a little later.
            logger.warning("not_told", verb=write.__name__, reason=away.code)
            return []

    @signals.worker_init.connect(weak=False)
    def prepare(**_: Any) -> None:
        if queue_name == queue.TRAIN and start_method() == "fork":
            # With TensorFlow, for its children; see the module's docstring.
            from worker import kinds, pipeline  # noqa: F401 — of the pipeline its import is all

            kinds.load()

            # Children weigh themselves after each job: TensorFlow's million objects need no look each time, and
            # untouched they stay shared.
            gc.collect()
            gc.freeze()
        booted = {"boot": ids.new("boot"), "queue": queue_name, "pid": os.getpid()}
        for other in tell(workers.boot, name, **booted, containment=tier.measured().tier):
            queue.send(app, other)
        database.close()
        deaf_s = presence.DEAF_SPAWNED_S if start_method() == "spawn" else presence.DEAF_S
        devices = DeviceMemory() if queue_name == queue.TRAIN else None
        Presence(chosen, name, queue_name, post.skills, memory_kills, devices, deaf_s).start()

    @signals.worker_process_init.connect(weak=False)
    def forget(**_: Any) -> None:
        database.forget()

    @signals.worker_shutting_down.connect(weak=False)
    def drain(**_: Any) -> None:
        tell(workers.drain, name)

    @signals.task_failure.connect(weak=False)
    def lose(exception: BaseException | None = None, **_: Any) -> None:
        if isinstance(exception, WorkerLostError):
            cause = recovery.OUT_OF_MEMORY if memory_kills.is_recent() else recovery.GONE
            # Its own, too: a child that ended itself has given its job back, and rang for nobody.
            for other in {queue_name, *tell(recovery.lose, name, cause=cause)}:
                queue.send(app, other)


if __name__ == "__main__":
    main()
