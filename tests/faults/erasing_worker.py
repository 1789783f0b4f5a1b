"""`python -m tests.faults.erasing_worker commit`: carries an erasure out, and dies at every point of that, one by one.

Each attempt is a process of its own, which SIGKILL ends; the job goes back to the queue as one whose worker was lost.
The points of what is named (commits, or those of the key store) are tried in their order until an attempt meets none.
"""

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from sqlalchemy import update

from shared import recovery, settings, workers
from shared.database import Database, now
from shared.erasures import ACTION
from shared.jobs import RUNNING
from shared.queue import LIGHT
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs
from shared.tenancy import EVERYONE
from tests.faults import points

# Loaded once, before the first fork.
from worker import erasing, runner
from worker.runner import Post

assert erasing


def main() -> None:
    chosen, (_, what) = settings.read(), sys.argv
    points_of = (f"work:{what}:{number}:{when}" for number in count(1) for when in ("before", "after"))
    while (point := next(points_of)) and _dies_at(chosen, point):
        _alone(lambda: _requeue(chosen))


def _dies_at(chosen: Settings, point: str) -> bool:
    """Whether an attempt came to that point."""
    mark = chosen.home / f"died-{point.replace(':', '-')}"
    _alone(lambda: _attempt(chosen, point, mark))
    return mark.exists()


def _alone(work: Callable[[], object]) -> None:
    """In a process of its own, whatever becomes of that."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    work()
    os._exit(0)


def _attempt(chosen: Settings, point: str, mark: Path) -> None:
    # What dies is a child of the process that was told where.
    points.install(point, mark=mark)
    _alone(lambda: _work(chosen))


def _work(chosen: Settings) -> None:
    database, storage = Database(chosen, whose=EVERYONE), Storage(chosen)
    # What its first use commits is no part of an erasure.
    storage.open_keys()
    runner.run(Post(chosen, database, storage, workers.name_of(LIGHT, "1")), LIGHT, only_tenant=None)


def _requeue(chosen: Settings) -> None:
    database = Database(chosen, whose=EVERYONE)
    with database.transaction() as sql:
        # What else runs is another worker's.
        mine = (jobs.c.state == RUNNING) & (jobs.c.action == ACTION)
        sql.execute(update(jobs).where(mine).values(lease_until=now() - 1))
        recovery.reap(sql)
        # That it dies again and again is what is tried here.
        sql.execute(update(jobs).where(jobs.c.action == ACTION).values(losses=0, run_after=0))


if __name__ == "__main__":
    main()
