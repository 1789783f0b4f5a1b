"""How much memory a worker takes: its main process and all below it, what they share counted once."""

import re
from pathlib import Path

import psutil

SHARE = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def memory_bytes() -> int:
    """Of this process and its children: each one's share of what it has in common with others, where Linux tells it."""
    own = psutil.Process()
    return sum(_of(process) for process in [own, *own.children(recursive=True)])


def _of(process: psutil.Process) -> int:
    try:
        found = SHARE.search(Path(f"/proc/{process.pid}/smaps_rollup").read_bytes())
        return int(found[1]) * 1024 if found else int(process.memory_info().rss)
    except (OSError, psutil.Error):
        # It has just ended, or no such file is kept here.
        return 0
