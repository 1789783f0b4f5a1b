"""Filters of system calls, written for the kernel's own little machine (BPF) and put on this process for good.

Two of them: one for whatever starts a decoder, which may load libraries and fork, and one for the decoder itself.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from shared.containment import kernel
from shared.containment.calls import ALLOWED, FORBIDDEN, LIMITS, OWN, THREADS, UNKNOWN, Numbers

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Of struct seccomp_data: the number of the call, the architecture, the lower half of the first argument.
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16
ARCHITECTURES = (0xC000003E, 0xC00000B7)
# Above it lie the calls of x32, which would be the same ones by other numbers.
X32 = 0x40000000
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
NOT_PERMITTED, NOT_THERE = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
CLONE_THREAD = 0x00010000
# Mount, cgroup, UTS, IPC, user, PID, network.
CLONE_NAMESPACES = 0x7E020000
SET_MODE_FILTER, ALL_THREADS = 1, 1

Instruction = tuple[int, int, int, int]


def for_starting(machine: int) -> list[Instruction]:
    """What may fork, load libraries and stop its children, and has no network and starts no program."""
    return [
        *_opening(machine),
        *_always(FORBIDDEN, machine, NOT_PERMITTED),
        *_always(UNKNOWN, machine, NOT_THERE),
        *_on_bits(THREADS, machine, CLONE_NAMESPACES, then=NOT_PERMITTED, otherwise=ALLOW),
        (RETURN, 0, 0, ALLOW),
    ]


def for_decoding(machine: int, pid: int) -> list[Instruction]:
    """What reads, computes, writes, and has threads; `pid` is the process itself, to which it may send signals."""
    return [
        *_opening(machine),
        *_always(ALLOWED, machine, ALLOW),
        *_on_values(OWN, machine, [pid]),
        *_on_values(LIMITS, machine, [0, pid]),
        *_on_bits(THREADS, machine, CLONE_THREAD, then=ALLOW, otherwise=NOT_PERMITTED),
        *_always(FORBIDDEN, machine, NOT_PERMITTED),
        (RETURN, 0, 0, NOT_THERE),
    ]


def confine_starting() -> None:
    """Raises OSError."""
    _install(for_starting(kernel.machine()))


def confine_decoding() -> None:
    """Raises OSError."""
    _install(for_decoding(kernel.machine(), os.getpid()))


def _install(program: list[Instruction]) -> None:
    """Of every thread of this process; no_new_privs must be set."""
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    code = ctypes.create_string_buffer(packed, len(packed))
    # struct sock_fprog: how many, and where.
    said = struct.pack("HP", len(program), ctypes.addressof(code))
    if kernel.call("seccomp", SET_MODE_FILTER, ALL_THREADS, ctypes.create_string_buffer(said, len(said))) > 0:
        raise OSError("seccomp: a thread has a filter that the others have not")


def _opening(machine: int) -> list[Instruction]:
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, NOT_PERMITTED),
    ]


def _always(calls: Numbers, machine: int, answer: int) -> Iterable[Instruction]:
    # Two for each and no jump far ahead: one jumps 255 instructions at most.
    for number in _numbers(calls, machine):
        yield from ((EQUAL, 0, 1, number), (RETURN, 0, 0, answer))


def _on_values(calls: Numbers, machine: int, values: list[int]) -> Iterable[Instruction]:
    """Allowed where the first argument is one of these."""
    tests = [each for value in values for each in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]
    for number in _numbers(calls, machine):
        yield from ((EQUAL, 0, len(tests) + 2, number), (LOAD, 0, 0, ARGUMENT), *tests, (RETURN, 0, 0, NOT_PERMITTED))


def _on_bits(calls: Numbers, machine: int, bits: int, *, then: int, otherwise: int) -> Iterable[Instruction]:
    for number in _numbers(calls, machine):
        yield from ((EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENT), (ANY_BIT, 0, 1, bits))
        yield from ((RETURN, 0, 0, then), (RETURN, 0, 0, otherwise))


def _numbers(calls: Numbers, machine: int) -> list[int]:
    return [number for each in calls.values() if (number := each[machine]) is not None]
