"""Wait for a condition, with a limit: a test never sleeps for a fixed time."""

import time
from collections.abc import Callable


def until(is_true: Callable[[], bool], *, limit_s: float = 30.0, every_s: float = 0.02) -> bool:
    """True as soon as it is; False after the limit, so that the assertion shows what was waited for."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(every_s)
    return is_true()
