"""`python -m tests.faults.clock --slot 1`: the rehearsing worker with its clock FAULT_CLOCK_S seconds fast.

Shifted before anything else is loaded: whoever says `from time import time` keeps what was there.
"""

import os
import runpy
import time


def shift(seconds: float) -> None:
    true = time.time
    time.time = lambda: true() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)


if __name__ == "__main__":
    shift(float(os.environ["FAULT_CLOCK_S"]))
    runpy.run_module("tests.faults.worker", run_name="__main__")
