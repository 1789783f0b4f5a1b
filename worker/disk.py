"""This worker's own disk when it is full: a matter neither of the job nor of its rows."""

from shared.errors import TryAgain
from shared.storage import FULL


def is_full(cause: BaseException) -> bool:
    """Whether this error, or one that led to it, says that no more could be written."""
    met: BaseException | None = cause
    while met is not None:
        if isinstance(met, OSError) and met.errno in FULL:
            return True
        met = met.__cause__ or met.__context__
    return False


def full() -> TryAgain:
    """How an attempt ends that has met it."""
    return TryAgain("The worker's disk is full: its operator must free some space.", code="disk_full")
