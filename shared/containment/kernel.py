"""Calls of the kernel that the standard library has no function for."""

import ctypes
import os
import platform
import sys

from shared.containment.calls import ALLOWED, FORBIDDEN

PR_SET_NO_NEW_PRIVS = 38
MACHINES = ("x86_64", "aarch64")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def machine() -> int:
    """The place of this machine's numbers in the tables of calls. Raises OSError where there are none."""
    name = platform.machine()
    if sys.platform != "linux" or name not in MACHINES or sys.maxsize < 2**32:
        raise OSError(f"expected Linux on {' or '.join(MACHINES)}, found {sys.platform} on {name}")
    return MACHINES.index(name)


def call(name: str, *arguments: object) -> int:
    """Make a call by its name; numbers are passed as 64 bits. Raises OSError."""
    number = {**FORBIDDEN, **ALLOWED}[name][machine()]
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(name, _libc.syscall(ctypes.c_long(number or 0), *passed))


def forbid_new_privileges() -> None:
    """No program that is started gives rights from now on: without it the kernel takes no filter. Raises OSError."""
    rest = [ctypes.c_ulong(value) for value in (1, 0, 0, 0)]
    _checked("prctl", _libc.prctl(ctypes.c_int(PR_SET_NO_NEW_PRIVS), *rest))


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
