"""What an attempt has cost up to now: seconds, memory, energy, money; what earlier attempts have cost is added."""

import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.claims import Claim
from shared.tariff import Tariff
from worker import device
from worker.energy import Meter

# Writing 5 sets the mark of the highest memory back to what is held now (Linux, proc_pid_clear_refs(5)).
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")

Json = dict[str, Any]


@dataclass(frozen=True)
class Used:
    """Wall-clock seconds, those of processors and of graphics cards, and watt-hours."""

    compute_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    energy_wh: float = 0.0

    def plus(self, other: "Used") -> "Used":
        return Used(*(mine + theirs for mine, theirs in zip(_values(self), _values(other), strict=True)))

    def less(self, other: "Used") -> "Used":
        return Used(*(max(0.0, mine - theirs) for mine, theirs in zip(_values(self), _values(other), strict=True)))

    def as_json(self) -> Json:
        return {name: round(value, 6) for name, value in asdict(self).items()}


def read_used(cost: Json) -> Used:
    """From a cost, or what a chunk says of its helper."""
    return Used(*(float(cost.get(name) or 0.0) for name in asdict(Used())))


def helped_before(claim: Claim) -> Used:
    """What other workers have done of a job in its earlier attempts."""
    return read_used({**claim.cost.get("helped", {}), "compute_s": claim.helped_s})


def _values(used: Used) -> tuple[float, ...]:
    return used.compute_s, used.cpu_s, used.gpu_s, used.energy_wh


class Expense:
    """Counts from when it is made; one process does one job at a time."""

    def __init__(self, claim: Claim, tariff: Tariff) -> None:
        self._tariff, self._meter = tariff, Meter()
        # Without that of helpers, which is told anew each time.
        self._before = read_used({**claim.cost, "compute_s": claim.compute_s + claim.helped_s}).less(
            helped_before(claim)
        )
        self._peak_before = int(claim.cost.get("peak_memory_bytes", 0))
        self._started, self._cpu_from = time.monotonic(), _cpu_s()
        self._is_own_peak = _forget_peak()

    def used(self) -> tuple[Used, str]:
        """By this process since the start, and where its energy is known from; cards count while they are held."""
        elapsed_s, cpu_s = time.monotonic() - self._started, max(0.0, _cpu_s() - self._cpu_from)
        energy_wh, source = self._meter.read(cpu_s, self._tariff)
        gpu_s = elapsed_s * device.cards()
        if gpu_s > 0:
            # No counter of the processors has them in it.
            energy_wh, source = energy_wh + self._tariff.assumed_gpu_wh(gpu_s), "assumed"
        return Used(elapsed_s, cpu_s, gpu_s, energy_wh), source

    def read(self, helped: Used) -> Json:
        """All of the job up to now, with that of its helpers."""
        mine, source = self.used()
        whole = self._before.plus(mine).plus(helped)
        return {
            "compute_s": round(whole.compute_s, 3),
            "helped_s": round(helped.compute_s, 3),
            "cpu_s": round(whole.cpu_s, 3),
            "gpu_s": round(whole.gpu_s, 3),
            "peak_memory_bytes": max(self._peak(), self._peak_before),
            "energy_wh": round(whole.energy_wh, 6),
            "energy_source": source,
            "money": self._tariff.money(cpu_s=whole.cpu_s, gpu_s=whole.gpu_s, energy_wh=whole.energy_wh),
            "currency": self._tariff.currency if self._tariff.has_prices else None,
            "helped": helped.as_json(),
        }

    def _peak(self) -> int:
        if self._is_own_peak:
            try:
                told = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
                return int(told.split()[1]) * 1024
            except (OSError, StopIteration):
                self._is_own_peak = False
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _cpu_s() -> float:
    """Of this process, and of those that it started and that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _forget_peak() -> bool:
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True
