"""`python -m shared.confinement MODULE PARENT LENGTH`: confines this process, then imports MODULE and runs its `main`.

The first LENGTH bytes of standard input are the terms. Here and not between fork and exec: there Python code may wait
for ever for a lock of a thread that was not copied.
"""

import importlib
import json
import os
import resource
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from importlib.abc import MetaPathFinder
from typing import NoReturn

from shared.containment import kernel, landlock, namespaces, seccomp
from shared.containment.landlock import Reach
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, SECCOMP
from shared.processes import die_with_parent

MiB = 1024 * 1024
# Between the signal that can be told from others and the one that cannot be caught.
CPU_GRACE_S = 5
# A layer that held when this machine was measured does not hold now; sysexits.h calls it EX_CONFIG.
EXIT_UNCONFINED = 78


@dataclass(frozen=True)
class Bounds:
    """What a decoder may use. Address space, not memory: the libraries map 360 MiB and use 70 before the first row."""

    address_bytes: int = 2048 * MiB
    cpu_s: int = 3600
    file_bytes: int = 16 * 1024 * MiB
    open_files: int = 128
    wall_s: float = 3600.0


@dataclass(frozen=True)
class Terms:
    """How a process is confined: its limits, the layers that must hold, the files within its reach.

    One that forks opens no upload: it may fork, and reaches any file, for its forks confine themselves.
    """

    bounds: Bounds
    layers: tuple[str, ...]
    reach: Reach
    forks: bool = False

    def written(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def command(module: str, terms: bytes) -> list[str]:
    """The command line of a child of this process; write the terms to its standard input before all else."""
    return [sys.executable, "-m", "shared.confinement", module, str(os.getpid()), str(len(terms))]


def confine(terms: Terms, parent: int) -> None:
    """Take away from this process what it does not need to load its code, for good. Raises OSError."""
    die_with_parent()
    if os.getppid() != parent:
        sys.exit("the parent was gone before it could be watched")
    limit(terms.bounds)
    if NETWORK_NAMESPACE in terms.layers:
        namespaces.leave_network()
        # Whoever gets other rights is no longer killed with its parent.
        die_with_parent(parent)
    if LANDLOCK in terms.layers and not terms.forks:
        landlock.confine(terms.reach)
    if SECCOMP in terms.layers:
        seccomp.confine_starting()


def confine_fork(layers: Collection[str], reach: Reach) -> None:
    """In a fork of a process that is confined: take away what hearing one file does not need. Raises OSError."""
    if LANDLOCK in layers:
        landlock.confine(reach)
    if SECCOMP in layers:
        seccomp.confine_decoding()


def limit(bounds: Bounds) -> None:
    """Limit this process and all it starts for good, within the limits that it has already. Raises OSError."""
    limits = {
        resource.RLIMIT_CPU: (bounds.cpu_s, bounds.cpu_s + CPU_GRACE_S),
        resource.RLIMIT_FSIZE: (bounds.file_bytes, bounds.file_bytes),
        resource.RLIMIT_NOFILE: (bounds.open_files, bounds.open_files),
        resource.RLIMIT_CORE: (0, 0),
    }
    if sys.platform == "linux":
        # Elsewhere the address space has no limit that holds, and no call is known that forbids new privileges.
        limits[resource.RLIMIT_AS] = (bounds.address_bytes, bounds.address_bytes)
        kernel.forbid_new_privileges()
    for what, (soft, hard) in limits.items():
        allowed = resource.getrlimit(what)[1]
        most = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
        resource.setrlimit(what, (min(soft, most), most))


class Without(MetaPathFinder):
    """Hides pandas: Arrow loads it unasked where it is installed, and it takes a fifth of what a decoder may use."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def main() -> None:
    module, parent, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    terms = _read(length)
    # Found while the folder of all code may still be listed; what lies in it is found by itself.
    package = importlib.import_module(module.partition(".")[0])
    reach = replace(terms.reach, reads=(*terms.reach.reads, *package.__path__))
    try:
        confine(replace(terms, reach=reach), parent)
        sys.meta_path.insert(0, Without())
        loaded = importlib.import_module(module)
        if SECCOMP in terms.layers and not terms.forks:
            seccomp.confine_decoding()
    except OSError as cause:
        _give_up(cause)
    loaded.main()


def _read(length: int) -> Terms:
    said = b""
    while len(said) < length:
        said += os.read(0, length - len(said)) or sys.exit("expected the terms on standard input")
    terms = json.loads(said)
    reach = Reach(*(tuple(terms["reach"][name]) for name in ("reads", "writes")))
    return Terms(Bounds(**terms["bounds"]), tuple(terms["layers"]), reach, forks=terms["forks"])


def _give_up(cause: OSError) -> NoReturn:
    sys.stderr.write(f"cannot be confined: {cause}\n")
    sys.exit(EXIT_UNCONFINED)


if __name__ == "__main__":
    main()
