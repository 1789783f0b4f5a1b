"""How far a stage is, and how long it will go on at its present pace."""

import time
from typing import Any


class Pace:
    """Remembers when the present stage began; a change of unit or total begins a new one."""

    def __init__(self) -> None:
        self._stage: tuple[str, int] | None = None
        self._began, self._first_done = 0.0, 0

    def progress(self, done: int, total: int, *, unit: str, metrics: dict[str, float] | None = None) -> dict[str, Any]:
        """Progress as the API shows it; the ETA counts only what this attempt did itself."""
        if self._stage != (unit, total):
            self._stage, self._began, self._first_done = (unit, total), time.monotonic(), done
        since = done - self._first_done
        spent_s = time.monotonic() - self._began
        eta_s = None if since <= 0 else round(spent_s / since * (total - done), 1)
        return {"done": done, "total": total, "unit": unit, "eta_s": eta_s, "metrics": metrics or {}}
