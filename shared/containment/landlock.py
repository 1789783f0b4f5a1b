"""Which files this process may open from now on: those of its code to read, those named to read or to write."""

import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from shared.containment import kernel
from shared.containment.code_paths import CODE, DEVICES

EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, REMOVE_FOLDER, REMOVE_FILE = (1 << place for place in range(6))
MAKE_FOLDER, MAKE_FILE, MOVE, TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
READS = READ_FILE | READ_FOLDER
# No links, devices, pipes or sockets; and nothing anywhere may be executed.
WRITES = READS | WRITE_FILE | TRUNCATE | MAKE_FILE | MAKE_FOLDER | REMOVE_FILE | REMOVE_FOLDER | MOVE
# What each version of the kernel's interface can forbid, the newest first: files; TCP; signals and abstract sockets.
# Linux 6.12, 6.10, 6.7, 6.2, 5.19, 5.13.
VERSIONS = ((6, 16, 3, 3), (5, 16, 3, 0), (4, 15, 3, 0), (3, 15, 0, 0), (2, 14, 0, 0), (1, 13, 0, 0))
ASK_VERSION, PATH_BENEATH = 1, 1


@dataclass(frozen=True)
class Reach:
    """The files and folders, with all that is in them, that a decoder may read, and those that it may write."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def version() -> int:
    """Of the kernel's interface. Raises OSError where there is none."""
    return kernel.call("landlock_create_ruleset", None, 0, ASK_VERSION)


def confine(reach: Reach) -> None:
    """From now on, and for good. This thread alone: call it while there is no other. Raises OSError."""
    fs, tcp, scopes = _handled(version())
    attributes = struct.pack("=QQQ", fs, tcp, scopes)
    # An older kernel refuses what is longer than it knows.
    known = attributes[: 24 if scopes else 16 if tcp else 8]
    rules = kernel.call("landlock_create_ruleset", known, len(known), 0)
    try:
        for paths, rights in ((CODE, READS), (reach.reads, READS), (reach.writes, WRITES), (DEVICES, WRITES)):
            _allow(rules, paths, rights & fs)
        kernel.call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def _handled(found: int) -> tuple[int, int, int]:
    of_files, tcp, scopes = next(rest for at_least, *rest in VERSIONS if found >= at_least)
    return (1 << of_files) - 1, tcp, scopes


def _allow(rules: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            # Whoever comes later cannot open it either.
            continue
        try:
            is_folder = stat.S_ISDIR(os.fstat(beneath).st_mode)
            rule = struct.pack("=Qi", rights if is_folder else rights & OF_FILES, beneath)
            kernel.call("landlock_add_rule", rules, PATH_BENEATH, rule, 0)
        finally:
            os.close(beneath)
