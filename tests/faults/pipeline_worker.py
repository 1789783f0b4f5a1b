"""`python -m tests.faults.pipeline_worker`: the real training worker, which saves after each epoch, however short.

FAULT_ROWS names a file: once it holds a number, the child is killed when so many rows are scored; then it is gone.
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
    real = Desk.report_rows

    def report_rows(self: Desk, done: int, *more: Any) -> None:
        real(self, done, *more)
        if place.exists() and done >= int(place.read_text()):
            place.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    Desk.report_rows = report_rows  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
