"""What an attempt has cost up to now: seconds, memory, energy, money; what earlier attempts have cost is added."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

from shared.claims import Claim
from shared.tariff import Tariff
from worker.energy import Meter

# Writing 5 sets the mark of the highest memory back to what is held now (Linux, proc_pid_clear_refs(5)).
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")

Json = dict[str, Any]


class Expense:
    """Counts from when it is made; one process does one job at a time."""

    def __init__(self, claim: Claim, tariff: Tariff) -> None:
        self._tariff, self._meter, self._before = tariff, Meter(), claim.cost
        self._compute_s = claim.compute_s
        self._started, self._cpu_from = time.monotonic(), _cpu_s()
        self._is_own_peak = _forget_peak()

    def read(self, helped_s: float) -> Json:
        cpu_s = max(0.0, _cpu_s() - self._cpu_from)
        energy_wh, source = self._meter.read(cpu_s, self._tariff)
        cpu_s += float(self._before.get("cpu_s", 0.0))
        energy_wh += float(self._before.get("energy_wh") or 0.0)
        return {
            "compute_s": round(self._compute_s + helped_s + time.monotonic() - self._started, 3),
            "helped_s": round(helped_s, 3),
            "cpu_s": round(cpu_s, 3),
            "gpu_s": 0.0,
            "peak_memory_bytes": max(self._peak(), int(self._before.get("peak_memory_bytes", 0))),
            "energy_wh": round(energy_wh, 6),
            "energy_source": source,
            "money": self._tariff.money(cpu_s=cpu_s, gpu_s=0.0, energy_wh=energy_wh),
            "currency": self._tariff.currency if self._tariff.has_prices else None,
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
