"""`python -m tests.faults.worker --slot 1`: the real worker, which rehearses instead of training.

It serves the light queue, whose main process loads no TensorFlow; everything else is as in production, unless said:
FAULT_POINT    its child dies at that point of its first job (tests/faults/points.py)
FAULT_VISIBLE  it acknowledges late, and a message that is not acknowledged is delivered again after so many seconds
FAULT_DEAF_S   for how long work must lie there before it thinks that it has gone deaf
FAULT_GRACE_S  how long its child may take to leave when it is told to
FAULT_GROUP    the control group that it enters
FAULT_COUNTER  the file in which the kernel counts whom it kills for want of memory
FAULT_KINDS    kinds that it knows beside the others: it is newer
"""

import argparse
import os
from pathlib import Path

from celery import Celery

from shared import log, queue, settings
from shared.kinds import KINDS
from shared.queue import LIGHT
from tests.faults import points
from worker import app, heart, memory_kills, presence, runner


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slot", default="1")
    arguments = parser.parse_args()
    runner.ACTIONS = {**runner.ACTIONS, "train": "tests.faults.rehearsal"}
    chosen = settings.read()
    log.configure(chosen.log_level)
    presence.DEAF_S = float(os.environ.get("FAULT_DEAF_S", presence.DEAF_S))
    heart.GRACE_S = float(os.environ.get("FAULT_GRACE_S", heart.GRACE_S))
    if "FAULT_GROUP" in os.environ:
        Path(os.environ["FAULT_GROUP"], "cgroup.procs").write_text(str(os.getpid()))
    if "FAULT_COUNTER" in os.environ:
        memory_kills.find_counters = lambda: [Path(os.environ["FAULT_COUNTER"])]
    if "FAULT_VISIBLE" in os.environ:
        _acknowledge_late(int(os.environ["FAULT_VISIBLE"]))
    KINDS.update(dict.fromkeys(os.environ.get("FAULT_KINDS", "").split(), KINDS["classification"]))
    points.install(os.environ.get("FAULT_POINT"), mark=chosen.home / "point")
    app.serve(chosen, queue_name=LIGHT, slot=arguments.slot)


def _acknowledge_late(visible_s: int) -> None:
    build = queue.celery_app
    # Looked for each second, not each 100 s.
    often = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}

    def build_late(chosen: settings.Settings, *, is_worker: bool = False) -> Celery:
        made = build(chosen, is_worker=is_worker)
        made.conf.task_acks_late = True
        made.conf.broker_transport_options = {
            **made.conf.broker_transport_options, **often, "visibility_timeout": visible_s,
        }  # fmt: skip
        return made

    queue.celery_app = build_late


if __name__ == "__main__":
    main()
