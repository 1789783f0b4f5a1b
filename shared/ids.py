"""Ids: a prefix that says what it names, then 26 signs that sort by time and cannot be guessed."""

import secrets
import threading
import time
from typing import Literal

Prefix = Literal[
    "job", "ds", "mdl", "ver", "sch", "key", "whk", "dlv", "ten", "req", "boot", "file", "ks", "tk", "ok", "era"
]  # fmt: skip

# Crockford's base 32 in lower case: no i, l, o, u, so an id survives being read aloud.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two signs at a time: an id is made for every request.
PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
SHIFTS = range(120, -1, -10)
RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new(prefix: Prefix) -> str:
    """Make an id such as job_06f3…; within one process each is larger than the one before."""
    global _last
    with _lock:
        number = (int(time.time() * 1000) << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
        # Within the same millisecond, or after the clock stepped back, count on from the last one.
        _last = number = number if number > _last else _last + 1 + secrets.randbits(32)
    return f"{prefix}_{_encode(number)}"


def _encode(number: int) -> str:
    return "".join([PAIRS[number >> shift & 1023] for shift in SHIFTS])
