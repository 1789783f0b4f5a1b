"""A folder for a process's files while it runs; what a killed one left lying is removed by the next."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path


def take(parent: Path, name: str) -> Path:
    """A folder of mode 700 that is this process's while it lives: a lock on it says so, and ends with the process."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    gate = os.open(parent, os.O_RDONLY)
    try:
        # One at a time, or a folder would be taken for a dead one's before it is locked.
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in parent.glob(f"{name}-*"):
            if _is_dead(left):
                shutil.rmtree(left, ignore_errors=True)
        own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        # Open until the process ends.
        fcntl.flock(os.open(own, os.O_RDONLY), fcntl.LOCK_EX)
        return own
    finally:
        os.close(gate)


def _is_dead(folder: Path) -> bool:
    place = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(place)
