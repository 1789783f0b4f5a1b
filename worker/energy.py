"""The energy of a piece of work: the processors' own counters (RAPL) where they can be read, else an assumption.

The counters are of whole processors in microjoules and start again from nought at `max_energy_range_uj` (Linux,
Documentation/power/powercap). Of what they tell, a process is given its share of the machine's busy CPU time.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.tariff import HOUR_S, Tariff

POWERCAP = Path("/sys/class/powercap")
# Packages only: cores and memory controllers below them (intel-rapl:0:0) are counted in them already.
PACKAGES = "intel-rapl:?"
STAT = Path("/proc/stat")
# Of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
IDLE = (3, 4)
FIELDS = 8

Json = dict[str, Any]


@dataclass
class Meter:
    """What the machine's counters have counted since it was made; `read` more often than a counter turns over."""

    root: Path = POWERCAP
    stat: Path = STAT
    _last: dict[str, int] = field(default_factory=dict)
    _joules: float = 0.0
    _busy_from: float | None = None

    def __post_init__(self) -> None:
        self._last = self._counters()
        self._busy_from = busy_s(self.stat)

    def read(self, cpu_s: float, tariff: Tariff) -> tuple[float, str]:
        """Watt-hours for so many CPU seconds of this process since the start, and where they are known from."""
        now = self._counters()
        if not self._last or now.keys() != self._last.keys():
            return tariff.assumed_wh(cpu_s), "assumed"
        for name, value in now.items():
            self._joules += grown(self._last[name], value, turns_at=self._range(name)) / 1e6
        self._last = now
        return self._share(cpu_s) * self._joules / HOUR_S, "rapl"

    def _share(self, cpu_s: float) -> float:
        busy = busy_s(self.stat)
        if busy is None or self._busy_from is None or busy <= self._busy_from:
            return 1.0
        return min(1.0, cpu_s / (busy - self._busy_from))

    def _counters(self) -> dict[str, int]:
        try:
            return {path.name: int((path / "energy_uj").read_text()) for path in sorted(self.root.glob(PACKAGES))}
        except (OSError, ValueError):
            # Readable by root alone on most machines.
            return {}

    def _range(self, name: str) -> int:
        try:
            return int((self.root / name / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            return 0


def grown(before: int, after: int, *, turns_at: int) -> int:
    """By how much a counter has grown that may have turned over once; nought where that cannot be said."""
    if after >= before:
        return after - before
    return max(0, turns_at - before + after)


def busy_s(stat: Path = STAT) -> float | None:
    """CPU seconds in which the machine was busy since it started; None where that is not told."""
    try:
        ticks = [int(each) for each in stat.read_text().split("\n", 1)[0].split()[1 : 1 + FIELDS]]
    except (OSError, ValueError):
        return None
    return sum(each for place, each in enumerate(ticks) if place not in IDLE) / os.sysconf("SC_CLK_TCK")
