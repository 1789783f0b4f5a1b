"""An ear with a listener that does what it is asked to, and what no listener should; run confined by its tests."""

import ctypes
import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.containment.landlock import Reach
from tests.shared.containment import escaping
from worker.audio import ear
from worker.audio.track import Track

FLOOD_BYTES = 64 * 1024 * 1024
ANSWER = 3


def main() -> None:
    ear.LISTENERS["odd"] = sys.modules[__name__]
    ear.reach = reach
    ear.main()


def reach(request: Any, usual: Callable[[Any], Reach] = ear.reach) -> Reach:
    """The folders of what the odd listener is told to touch, too."""
    found, odd = usual(request), request["want"].get("odd", {})
    folders = [str(Path(odd[name]).parent) for name in ("path", "here") if name in odd]
    return Reach(found.reads, (*found.writes, *folders))


def hear(track: Track, argument: Any) -> Any:
    return ACTS[argument["do"]](track, argument)


def tell(track: Track, _: Any) -> Any:
    """Say what this process may do, and what it knows."""
    status = Path("/proc/self/status").read_text()
    names = ("AS", "CPU", "FSIZE", "NOFILE", "CORE")
    return {
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names},
        "mapped": int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize(),
        "no_new_privs": "NoNewPrivs:\t1" in status,
        "environment": sorted(os.environ),
        "open_files": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
        "parent": os.getppid(),
        "input": Path("/proc/self/fd/0").readlink().name,
    }


def escape(_: Track, argument: Any) -> Any:
    """Try every way out."""
    return escaping.attempts(argument)


def crash(*_: Any) -> None:
    ctypes.string_at(0)


def spin(*_: Any) -> None:
    while True:
        pass


def wait(*_: Any) -> None:
    time.sleep(600)


def close(*_: Any) -> None:
    os.close(ANSWER)
    time.sleep(600)


def close_and_leave(*_: Any) -> None:
    os.close(ANSWER)
    time.sleep(0.2)
    os._exit(0)


def allocate(*_: Any) -> None:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def allocate_aside(*_: Any) -> None:
    """Run out of memory where no Python error is raised, and complain as C++ does."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def fill(_: Track, argument: Any) -> None:
    with Path(argument["path"]).open("wb") as file:
        while True:
            file.write(bytes(1024 * 1024))


def kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(*_: Any) -> None:
    os._exit(0)


def fail(*_: Any) -> None:
    raise ZeroDivisionError("a fault of ours")


def babble(*_: Any) -> None:
    os.write(ANSWER, b"hello\n")


def lie(_: Track, argument: Any) -> None:
    """Say a line of one's own instead of an answer."""
    os.write(ANSWER, argument["line"].encode())
    time.sleep(600)


def nest(*_: Any) -> None:
    os.write(ANSWER, b'{"heard": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n")
    time.sleep(600)


def flood(*_: Any) -> None:
    while True:
        os.write(ANSWER, b"x" * 65_536)


def complain(*_: Any) -> None:
    said = b"y" * 65_536
    for _ in range(FLOOD_BYTES // len(said)):
        os.write(1, said)
        os.write(2, said)
    os._exit(1)


def chatter(*_: Any) -> Any:
    """What a codec does that prints on standard output."""
    os.write(1, b'{"id": 0, "heard": {}}\n')
    return {}


def count(track: Track, argument: Any) -> Any:
    """Ask for the sound, and tell how many bytes were read from files in all."""
    track.mono(argument["rate_hz"])
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return {"bytes": int(io["rchar"])}


def write(track: Track, _: Any) -> Any:
    """Try to change what others hear."""
    try:
        track.mono(16_000)[:] = 0
    except ValueError:
        return {"changed": False}
    return {"changed": True}


def link(_: Track, argument: Any) -> Any:
    """Leave a link where a file should be, to one that has its size."""
    path = Path(argument["path"])
    path.rename(argument["to"])
    path.symlink_to(argument["to"])
    return {}


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def shorten(_: Track, argument: Any) -> Any:
    os.truncate(argument["path"], 10)
    return {}


def meet(_: Track, argument: Any) -> Any:
    """Say that one is there, and wait for the other."""
    Path(argument["here"]).touch()
    _wait_for(argument["there"])
    return {}


def note(_: Track, argument: Any) -> Any:
    Path(argument["here"]).touch()
    return {}


def kill_parent(*_: Any) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def stop_parent_once(_: Track, argument: Any) -> Any:
    here = Path(argument["here"])
    if not here.exists():
        here.touch()
        os.kill(os.getppid(), signal.SIGSTOP)
    return {}


def _wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


ACTS: dict[str, Callable[..., Any]] = {
    name: act
    for name, act in globals().items()
    if callable(act) and getattr(act, "__module__", "") == __name__ and name not in ("main", "hear")
}
