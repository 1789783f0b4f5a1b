"""`python -m tests.faults.web`: the real web process, whose jobs go to the workers that rehearse.

With FAULT_POINT the process that answers dies at that point (tests/faults/points.py), once a port; the one that watches
it stays, as in production, and starts another.
"""

import os

from shared import queue, settings
from tests.faults import points

# The rehearsing workers serve the light queue, where no main process loads TensorFlow. Said before anything of web is
# imported; the process that answers is forked from this one.
queue.TRAIN = queue.LIGHT


def main() -> None:
    from web import serve

    chosen = settings.read()
    points.install(os.environ.get("FAULT_POINT"), mark=chosen.home / f"point-{chosen.port}")
    serve.main()


if __name__ == "__main__":
    main()
