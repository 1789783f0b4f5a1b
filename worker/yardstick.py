"""What this machine can do, measured once for each worker's slot: how fast it multiplies, and how fast all else goes.

Both take a tenth of a second together. The best of a few tries counts: what disturbs one only makes it longer.
"""

import time
from collections.abc import Callable

import numpy as np

from shared.machines import CHORES_S, Machine
from worker import device

SIDE, TRIES = 768, 4
NUMBERS = 8_000


def measure() -> Machine:
    """Of this process, on the device that TensorFlow has chosen."""
    return Machine(pace=_best_s(_chores) / CHORES_S, floats_per_s=2 * SIDE**3 / _best_s(device.multiplication(SIDE)))


def _best_s(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return min(spent)


def _chores() -> None:
    """Of what surrounds arithmetic a little of each: numbers read and written, words counted, rows put in order."""
    numbers = np.random.default_rng(0).normal(size=NUMBERS)
    text = ",".join(map(repr, numbers.tolist()))
    counted: dict[str, int] = {}
    for word in text.split(","):
        counted[word[:4]] = counted.get(word[:4], 0) + 1
    np.argsort(np.array([float(word) for word in text.split(",")]))
