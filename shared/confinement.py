"""`python -m shared.confinement MODULE BOUNDS PARENT`: limits this process, then imports MODULE and runs its `main`.

Here and not between fork and exec: there Python code may wait for ever for a lock of a thread that was not copied.
"""

import ctypes
import importlib
import json
import os
import resource
import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder

from shared.processes import die_with_parent

PR_SET_NO_NEW_PRIVS = 38
MiB = 1024 * 1024
# Between the signal that can be told from others and the one that cannot be caught.
CPU_GRACE_S = 5


@dataclass(frozen=True)
class Bounds:
    """What a decoder may use. Address space, not memory: the libraries map 360 MiB and use 70 before the first row."""

    address_bytes: int = 2048 * MiB
    cpu_s: int = 3600
    file_bytes: int = 16 * 1024 * MiB
    open_files: int = 128
    wall_s: float = 3600.0


def confine(bounds: Bounds, parent: int) -> None:
    """Take away from this process what it does not need, for good."""
    die_with_parent()
    if os.getppid() != parent:
        sys.exit("the parent was gone before it could be watched")
    limits = {
        resource.RLIMIT_CPU: (bounds.cpu_s, bounds.cpu_s + CPU_GRACE_S),
        resource.RLIMIT_FSIZE: (bounds.file_bytes, bounds.file_bytes),
        resource.RLIMIT_NOFILE: (bounds.open_files, bounds.open_files),
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform == "linux":
        # Elsewhere the address space has no limit that holds, and no call is known that forbids new privileges.
        limits[resource.RLIMIT_AS] = (bounds.address_bytes, bounds.address_bytes)
        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for what, (soft, hard) in limits.items():
        allowed = resource.getrlimit(what)[1]
        most = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
        resource.setrlimit(what, (min(soft, most), most))


class Without(MetaPathFinder):
    """Hides pandas: Arrow loads it unasked where it is installed, and it takes a fifth of what a decoder may use."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


if __name__ == "__main__":
    confine(Bounds(**json.loads(sys.argv[2])), int(sys.argv[3]))
    sys.meta_path.insert(0, Without())
    importlib.import_module(sys.argv[1]).main()
