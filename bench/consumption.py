"""What a service with all its processes has used: CPU seconds, those of ended children too, and memory at its most."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

MiB = 1024**2
# Often enough for a fork that hears one track, seldom enough to cost nothing.
EVERY_S = 0.1


def cpu_s(root: psutil.Process) -> float:
    """CPU seconds of a process and all below it since they began.

    What an ended child has used is in the times of whoever waited for it, so that forks count although they are gone.
    """
    return sum(_used_s(each) for each in family(root))


def family(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _used_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def held_mib(root: psutil.Process) -> float:
    """MiB of a process and all below it, what they share counted once (PSS)."""
    held = 0.0
    for each in family(root):
        # It may have ended since it was listed.
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            held += float(each.memory_full_info().pss)
    return held / MiB


@contextmanager
def watching(root: psutil.Process) -> Iterator[Callable[[], float]]:
    """Look at the memory again and again; call for the most that was seen, in MiB."""
    seen, is_over = [held_mib(root)], threading.Event()

    def look() -> None:
        while not is_over.wait(EVERY_S):
            seen.append(held_mib(root))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: max(seen)
    finally:
        is_over.set()
        watcher.join()
