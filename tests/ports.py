"""Ports for the servers of tests, of which nobody's connection can take one between the choice and the start."""

import itertools
import os
import random

from shared.up import is_free

# Below those that systems give to connections (Linux from 32768); each of the runs side by side has its own.
FIRST, EACH = 12_000, 1_000
_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_first = FIRST + EACH * _number
_chosen = itertools.cycle(random.sample(range(_first, _first + EACH), EACH))


def free_port(host: str = "127.0.0.1") -> int:
    """One that nobody listens on, and that was not given to another test of late."""
    return next(port for port in _chosen if is_free(host, port))
