"""The one Celery task, and how the child that runs it begins. A spawned child knows Celery only through this module."""

from typing import Any

from celery import current_app, shared_task, signals

from shared import log, settings
from shared.queue import TASK, TRAIN
from worker import process


@shared_task(name=TASK)
def work(queue: str) -> None:
    """Somebody rang, so look at the queue: do its best job, if there is one."""
    process.answer(queue)


@signals.worker_process_init.connect(weak=False)
def begin(sender: str, **_: Any) -> None:
    """Prepare a child, forked or spawned; `sender` is its worker's name, which begins with the queue."""
    chosen = settings.read()
    log.configure(chosen.log_level)
    process.begin(chosen, current_app, sender, has_device=sender.startswith(f"{TRAIN}-"))
