"""A decoder that does what it is asked to, and what no decoder should; run in the sandbox by its tests."""

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLOOD_BYTES = 64 * 1024 * 1024


def main() -> None:
    request = json.load(sys.stdin)
    ACTS[request["do"]](request)


def say(message: object) -> None:
    print(json.dumps(message), flush=True)


def tell(_: Any) -> None:
    """Say what this process may do, and what it knows."""
    status = Path("/proc/self/status").read_text()
    names = ("AS", "CPU", "FSIZE", "NOFILE", "CORE")
    say(
        {
            "done": {
                "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names},
                "no_new_privs": "NoNewPrivs:\t1" in status,
                "leads_its_session": os.getsid(0) == os.getpid(),
                "environment": sorted(os.environ),
                "open_files": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
            }
        }
    )


def crash(_: Any) -> None:
    ctypes.string_at(0)


def spin(_: Any) -> None:
    while True:
        pass


def wait(_: Any) -> None:
    say({"progress": os.getpid(), "total": None})
    time.sleep(600)


def close(_: Any) -> None:
    os.close(1)
    time.sleep(600)


def allocate(_: Any) -> None:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def allocate_aside(_: Any) -> None:
    """Run out of memory where no Python error is raised, and complain as C++ does."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def fill(request: Any) -> None:
    with Path(request["path"]).open("wb") as file:
        while True:
            file.write(bytes(1024 * 1024))


def kill(_: Any) -> None:
    os.kill(os.getpid(), 9)


def leave(_: Any) -> None:
    sys.exit(3)


def babble(_: Any) -> None:
    print("hello")


def flood(_: Any) -> None:
    sys.stdout.write("x" * FLOOD_BYTES)


def complain(_: Any) -> None:
    sys.stderr.write("y" * FLOOD_BYTES)
    sys.exit(1)


def report(_: Any) -> None:
    for done in range(3):
        say({"progress": done, "total": 3})
    say({"done": {"rows": 3}})


def link(request: Any) -> None:
    """Claim to be done, with a link where the outcome should be."""
    Path(request["out"]).symlink_to("/etc/passwd")
    say({"done": {}})


def fail(_: Any) -> None:
    fault = {"message": "expected 2 cells, received 1", "file": "t.csv", "row": 7, "column": None}
    say({"failed": {"code": "dataset_rejected", "detail": "t.csv: no", "faults": [fault], "total": 250}})


def full(_: Any) -> None:
    say({"failed": {"code": "disk_full"}})


def look_around(request: Any) -> None:
    """Tell as faults what can be reached: the upload, a secret, the process that asks."""
    tries = {
        "upload": lambda: Path(request["files"][0]["path"]).read_bytes(),
        "secret": lambda: Path(request["secret"]).read_bytes(),
        "worker": lambda: os.kill(os.getppid(), 0),
    }
    faults = [{"message": "reached", "code": name} for name, attempt in tries.items() if is_reached(attempt)]
    say({"failed": {"code": "dataset_rejected", "detail": "looked", "faults": faults, "total": len(faults)}})


def is_reached(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


ACTS = {name: act for name, act in globals().items() if callable(act) and getattr(act, "__module__", "") == __name__}
