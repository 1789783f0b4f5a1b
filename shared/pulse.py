"""`python -m shared.pulse web` (or `worker --queue train`, `scheduler`, `answers`, `deliveries`): 0 while it works.

For the health check of a container: it asks for what only a working process makes true.
"""

import argparse
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, func, select

from shared import deliveries as outbox
from shared import processes, questions, queue, settings, workers
from shared.database import Database, now
from shared.errors import Unavailable
from shared.jobs import RUNNING
from shared.settings import Settings
from shared.tables import jobs
from shared.tables import workers as slots
from shared.tenancy import EVERYONE

ANSWER_LIMIT_S = 3.0
# A scheduler may miss one tick and be late with another.
TICKS_ALLOWED = 3
# A delivering worker looks twice a second, and begins with whoever waits in vain.
NEGLECTED_S = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.pulse", description="Whether a process of Etude works.")
    parser.add_argument("process", choices=["web", "worker", "scheduler", "answers", "deliveries"])
    parser.add_argument("--queue", choices=queue.QUEUES, default=queue.TRAIN)
    parser.add_argument("--slot", default="1")
    arguments = parser.parse_args()
    chosen = settings.read()
    if arguments.process == "web":
        fault = web(chosen)
    elif arguments.process == "answers":
        fault = answers(chosen)
    else:
        fault = _ask(chosen, _question(arguments))
    if fault is not None:
        raise SystemExit(fault)


def web(chosen: Settings) -> str | None:
    """What is wrong with the web process of this host, or None."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{chosen.port}/healthz", timeout=ANSWER_LIMIT_S).close()
    except (urllib.error.URLError, OSError) as cause:
        return f"The web process does not answer: {cause}."
    return None


def answers(chosen: Settings) -> str | None:
    """What is wrong with the answering workers of this host, or None: one has come round to a question of late."""
    try:
        is_well = questions.is_answered(chosen)
    except Unavailable as away:
        return away.detail
    return None if is_well else f"Nobody on this host has said for {questions.BEAT_KEPT_S} s that it answers."


def _question(arguments: argparse.Namespace) -> Callable[[Connection, Settings], str | None]:
    if arguments.process == "scheduler":
        return scheduler
    if arguments.process == "deliveries":
        return deliveries
    return partial(worker, name=workers.name_of(arguments.queue, arguments.slot))


def _ask(chosen: Settings, question: Callable[[Connection, Settings], str | None]) -> str | None:
    database = Database(chosen, whose=EVERYONE, pool_size=1)
    try:
        with database.reading() as sql:
            return question(sql, chosen)
    except Unavailable as away:
        return away.detail
    finally:
        database.close()


def worker(sql: Connection, chosen: Settings, name: str) -> str | None:
    """What is wrong with a worker of this host, or None: it has booted, lives, and beats, and so does its job."""
    chosen_columns = (slots.c.pid, (now() - slots.c.beat_at).label("silent_s"))
    row = sql.execute(select(*chosen_columns).where(slots.c.name == name)).one_or_none()
    if row is None:
        return f"The worker {name} has not booted yet."
    if not processes.is_alive(row.pid):
        return f"The main process {row.pid} of the worker {name} is gone."
    if row.silent_s > chosen.lease_s:
        return f"The worker {name} gave no sign of life for {row.silent_s:.0f} s."
    if _count_silent(sql, 0.0, owner=name):
        return f"The worker {name} holds a job and gave no sign of life within its lease."
    return None


def scheduler(sql: Connection, chosen: Settings) -> str | None:
    """What is wrong with the schedulers, or None: no lost job waits longer than they may take to find it."""
    overdue = _count_silent(sql, chosen.lease_s + TICKS_ALLOWED * chosen.tick_s)
    return f"{overdue} lost jobs were not given back to the queue." if overdue else None


def deliveries(sql: Connection, _: Settings) -> str | None:
    """What is wrong with the delivering workers, or None: nobody's deliveries wait while none of theirs is sent."""
    waiting = outbox.count_neglected(sql, for_s=NEGLECTED_S)
    return f"Nobody sends the deliveries of {waiting} tenants." if waiting else None


def _count_silent(sql: Connection, for_s: float, *, owner: str | None = None) -> int:
    """How many running jobs have been without a valid lease for so many seconds."""
    is_silent = (jobs.c.state == RUNNING) & (jobs.c.lease_until < now() - for_s)
    is_meant = is_silent if owner is None else is_silent & (jobs.c.lease_owner == owner)
    return int(sql.execute(select(func.count()).select_from(jobs).where(is_meant)).scalar_one())


if __name__ == "__main__":
    main()
