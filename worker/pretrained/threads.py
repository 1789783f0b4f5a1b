"""Small matrix products on one thread each, whoever runs them at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy  # noqa: F401  # the controller knows only libraries that are loaded
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

_libraries = ThreadpoolController()
_lock = threading.Lock()
_inside = 0
_before: Any = None  # Any: what the limit was, as threadpoolctl keeps it


@contextmanager
def one() -> Iterator[None]:
    """While anybody is inside, the process's BLAS uses one thread: small products take longer on two.

    The limit is the process's. So the last to leave lifts it: otherwise who leaves first would slow the others down.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = _libraries.limit(limits=1, user_api="blas")
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _before.restore_original_limits()
