"""`python -m tests.faults.pipeline_worker`: the real training worker, which saves after each epoch, however short.

FAULT_ROWS names a file: once it holds a number, the child is killed when so many rows are scored, or so many tracks are
heard; then it is gone.
"""

import os
import signal
from pathlib import Path
from typing import Any

from shared import log, settings
from shared.queue import TRAIN
from worker import app, training
from worker.desk import Desk


def main() -> None:
    chosen = settings.read()
    log.configure(chosen.log_level)
    _die_at(Path(os.environ["FAULT_ROWS"]))
    training.SMALL, training.CHUNK_S = 0, 0.0
    app.serve(chosen, queue_name=TRAIN, slot="1")


def _die_at(place: Path) -> None:
    for name in ("report_scored", "report_tracks"):
        _patch(name, place)


def _patch(name: str, place: Path) -> None:
    real = getattr(Desk, name)

    def report(self: Desk, done: int, *more: Any, **rest: Any) -> None:
        real(self, done, *more, **rest)
        if place.exists() and done >= int(place.read_text()):
            place.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Desk, name, report)


if __name__ == "__main__":
    main()
