"""What a process of ours reads that opens no upload: code, libraries, and what these ask about the machine."""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PYTHON = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_LIBRARIES = [
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache",
    # Of distributions that keep everything there, for all to read.
    "/nix/store", "/gnu/store",
]  # fmt: skip
_MACHINE = [
    # Of this process itself: what it maps, its limits.
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",
    "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo",
]  # fmt: skip


def _code() -> tuple[str, ...]:
    """Not the folder of the code itself: whoever tries Etude there has its data in it."""
    libraries = [f"{prefix}/lib" for prefix in (sys.prefix, sys.base_prefix)]
    path = [folder for folder in sys.path if folder and Path(folder).resolve() != ROOT and Path(folder).is_dir()]
    ours = [str(folder) for name in ("shared", "worker", "web") if (folder := ROOT / name).is_dir()]
    return tuple(dict.fromkeys([*ours, *_PYTHON, *libraries, *path, *_LIBRARIES, *_MACHINE]))


CODE = _code()
# To be written to as well: what is thrown away, and what never takes anything, as a full disk.
DEVICES = ("/dev/null", "/dev/full")
