"""The memory of the graphics cards that a worker computes on, as their driver's own program tells it.

A program, and not its library (NVML) in this process: a call into a driver that hangs can be left by nobody, and would
take the worker's beats with it. Nobody waits for it either: a beat asks, and a later one hears the answer.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.log import logger

PROGRAM = "nvidia-smi"
FIELDS = "index,uuid,name,mig.mode.current,memory.used,memory.total"
QUERY = (f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits")
MiB = 1024 * 1024
# As often as Prometheus looks in most houses; where nobody else holds the cards, each question wakes them up.
EVERY_S = 15.0
# Eight cards that sleep take some seconds each to wake up.
PATIENCE_S = 60.0
# As much as a pipe holds; eight cards are told in 800 bytes. Whoever says more waits until it is killed.
ANSWER_BYTES = 64 * 1024
NAME_LENGTH = 100
# Beyond this a figure is no memory of a card, and no database could keep it.
MOST_MIB = 2**30
# All that it needs of ours: no secret, and no address of a database.
KEPT = ("PATH", "LD_LIBRARY_PATH")

Json = dict[str, Any]  # Any: JSON

log = logger("device_memory")


@dataclass(frozen=True)
class Device:
    """A card, by its number in the order of the bus; its memory in bytes, None where the driver does not tell."""

    index: int
    uuid: str
    name: str
    memory: tuple[int, int] | None

    def as_json(self) -> Json:
        assert self.memory is not None
        used, total = self.memory
        return {"index": self.index, "name": self.name, "used_bytes": used, "total_bytes": total}


@dataclass
class DeviceMemory:
    """Asks one program at a time, no more often than `every_s`, and never waits for it."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    every_s: float = EVERY_S
    patience_s: float = PATIENCE_S
    _asked: subprocess.Popen[bytes] | None = None
    _asked_at: float = float("-inf")
    _told: list[Json] = field(default_factory=list)

    def look(self) -> list[Json]:
        """What was last heard of each card, `{index, name, used_bytes, total_bytes}`; nothing where it is too old."""
        if self._asked is not None:
            self._hear(self._asked)
        if self._asked is None and time.monotonic() - self._asked_at >= self.every_s:
            self._ask()
        return self._told

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        program = shutil.which(PROGRAM, path=self.environment.get("PATH", ""))
        if program is None:
            self._tell([])
            return
        try:
            self._asked = subprocess.Popen(  # noqa: S603 — the driver's, found as the operator's PATH says
                [program, *QUERY],
                env={name: self.environment[name] for name in KEPT if name in self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._tell([])

    def _hear(self, asked: subprocess.Popen[bytes]) -> None:
        assert asked.stdout is not None
        if asked.poll() is None:
            if time.monotonic() - self._asked_at >= self.patience_s:
                # One that the driver holds does not end even so: it is left, and no other is sent after it.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(asked.pid, signal.SIGKILL)
                self._tell([])
            return
        # What it has started may hold the pipe open.
        os.set_blocking(asked.stdout.fileno(), False)
        said = b"" if asked.returncode == -signal.SIGKILL else asked.stdout.read(ANSWER_BYTES) or b""
        asked.stdout.close()
        self._asked = None
        # Its status is not asked for: where one card of eight is lost it fails, and tells of seven.
        seen = visible(read(said), self.environment)
        self._tell([device.as_json() for device in seen if device.memory is not None])

    def _tell(self, told: list[Json]) -> None:
        if len(told) < len(self._told):
            log.warning("devices_unread", before=len(self._told), now=len(told))
        self._told = told


def read(said: bytes) -> list[Device]:
    """The cards of the program's answer, in the order of the bus; a line that says something else is passed over."""
    found: dict[int, Device] = {}
    # Without the last, which is empty or half a line.
    for line in said.decode(errors="replace").split("\n")[:-1]:
        device = _read_line([cell.strip() for cell in line.split(",")])
        if device is not None:
            found.setdefault(device.index, device)
    return [found[index] for index in sorted(found)]


def _read_line(cells: list[str]) -> Device | None:
    if len(cells) != len(FIELDS.split(",")):
        return None
    index, uuid, name, mig, used, total = cells
    if not (_is_number(index) and uuid.startswith("GPU-") and name.isprintable() and len(name) <= NAME_LENGTH):
        return None
    # Of a card that is cut into parts (MIG) a worker has one, and the driver tells of the whole.
    is_told = mig != "Enabled" and _is_number(used) and _is_number(total) and int(used) <= int(total) != 0
    return Device(int(index), uuid, name, (int(used) * MiB, int(total) * MiB) if is_told else None)


def _is_number(cell: str) -> bool:
    return cell.isascii() and cell.isdecimal() and len(cell) <= len(str(MOST_MIB)) and int(cell) <= MOST_MIB


def visible(devices: list[Device], environment: Mapping[str, str]) -> list[Device]:
    """Those that CUDA shows a process: CUDA_VISIBLE_DEVICES names them by number, or by the beginning of their UUID.

    Numbers count the fastest card first unless CUDA_DEVICE_ORDER is PCI_BUS_ID: where cards differ and it is not, it
    cannot be said which is meant. What follows on a name that means none is not shown, as CUDA has it.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return devices
    by_bus = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({device.name for device in devices}) == 1
    shown: list[Device] = []
    for each in named.split(","):
        meant = [device for device in devices if _is_meant(device, each.strip(), by_bus=by_bus)]
        if len(meant) != 1:
            break
        shown += [device for device in meant if device not in shown]
    return shown


def _is_meant(device: Device, name: str, *, by_bus: bool) -> bool:
    if name.startswith("GPU-"):
        return device.uuid.startswith(name)
    return by_bus and _is_number(name) and int(name) == device.index
