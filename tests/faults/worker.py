"""`python -m tests.faults.worker --slot 1`: the real worker, which rehearses instead of training.

It serves the light queue, whose main process loads no TensorFlow; everything else is as in production. With
FAULT_POINT its child dies at that point of its first job (tests/faults/points.py).
"""

import argparse
import os

from shared import log, settings
from shared.queue import LIGHT
from tests.faults import points
from worker import app, runner


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slot", default="1")
    arguments = parser.parse_args()
    runner.ACTIONS = {**runner.ACTIONS, "train": "tests.faults.rehearsal"}
    chosen = settings.read()
    log.configure(chosen.log_level)
    points.install(os.environ.get("FAULT_POINT"), mark=chosen.home / "point")
    app.serve(chosen, queue_name=LIGHT, slot=arguments.slot)


if __name__ == "__main__":
    main()
