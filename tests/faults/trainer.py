"""`python -m tests.faults.trainer`: the real training worker, whose main process tells at its end what TensorFlow did.

With FAULT_OPERATION it runs an operation before it has a child, which it then spawns, as beside a GPU.
"""

import os

from celery import signals

from shared import log, settings
from shared.queue import TRAIN
from worker import app


def main() -> None:
    chosen = settings.read()
    log.configure(chosen.log_level)
    is_broken = "FAULT_OPERATION" in os.environ
    app.start_method = lambda: "spawn" if is_broken else "fork"

    @signals.worker_init.connect(weak=False)
    def operate(**_: object) -> None:
        if is_broken:
            import tensorflow as tf

            tf.constant(1) + 1

    @signals.worker_shutdown.connect(weak=False)
    def tell(**_: object) -> None:
        from tensorflow.python.eager import context

        # Made by the first operation, as in tests/worker/test_process.py.
        has_operated = context.context()._context_handle is not None
        (chosen.home / "operations").write_text("some" if has_operated else "none")

    app.serve(chosen, queue_name=TRAIN, slot="1")


if __name__ == "__main__":
    main()
