"""Whether the kernel kills processes for want of memory where this one runs: what tells such a death from others."""

import re
import time
from pathlib import Path

COUNTED = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
# The death of a child is seen within a second.
LATELY_S = 10.0


class MemoryKills:
    """Watches the kernel's count: looked at regularly, no old kill is taken for the cause of a new death."""

    def __init__(self, files: list[Path] | None = None) -> None:
        self._files = find_counters() if files is None else files
        self._seen = self._read()
        self._risen_at = float("-inf")

    def look(self) -> None:
        """Take note of the count."""
        count = self._read()
        if count > self._seen:
            self._risen_at = time.monotonic()
        self._seen = count

    def is_recent(self) -> bool:
        """Whether the count has risen within the last LATELY_S."""
        self.look()
        return time.monotonic() - self._risen_at < LATELY_S

    def _read(self) -> int:
        for file in self._files:
            try:
                found = COUNTED.search(file.read_text())
            except OSError:
                continue
            if found:
                return int(found[1])
        # No Linux, or one that does not count: then every death is called a loss.
        return 0


def find_counters(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """The files that may hold the count, the closest first: this control group's (version 2, 1), the host's."""
    try:
        lines = [line.split(":", 2) for line in (proc / "self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    unified = [groups / path.lstrip("/") / "memory.events" for _, names, path in lines if names == ""]
    single = [
        groups / "memory" / path.lstrip("/") / "memory.oom_control" for _, names, path in lines if "memory" in names
    ]
    # Within a container the path is the host's, and its own group is mounted at the top.
    top = [groups / "memory.events", groups / "memory" / "memory.oom_control"]
    return [*unified, *single, *top, proc / "vmstat"]
