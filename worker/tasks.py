"""The one Celery task: somebody rang, so look at the queue."""

from worker import process


def work(queue: str) -> None:
    """Do the best job of the queue, if there is one."""
    process.answer(queue)
