"""How much memory a worker takes: its main process and all below it, what they share counted once."""

import contextlib
import re
from pathlib import Path

import psutil

SHARE = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def memory_bytes() -> int:
    """Of this process and its children: each one's share of what it has in common with others, where Linux tells it."""
    own = psutil.Process()
    return sum(_of(process) for process in [own, *own.children(recursive=True)])


def _of(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        if found := SHARE.search(Path(f"/proc/{process.pid}/smaps_rollup").read_bytes()):
            return int(found[1]) * 1024
    with contextlib.suppress(psutil.Error):
        # No such file is kept here.
        return int(process.memory_info().rss)
    return 0  # it has just ended
