"""`make fuzz`: nearly good files into every decoder for so many minutes, the parsers led by coverage, then the door.

What ends a decoder's child is kept in fuzz/ and told; what ends its parent, or is taken and wrong, ends this with 1.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import decoders, guided
from tests.fuzz.decoders import Tried

KEPT = Path("fuzz")
# Of a round; a table has a child of its own, the others share one.
ROUNDS = {"tables": (decoders.try_tables, 12), "recordings": (decoders.try_recordings, 60),
          "pieces": (decoders.try_pieces, 200)}  # fmt: skip
# Of the time; the last is the door's, and the parsers' once more, of which one round takes about a minute.
DECODERS_SHARE, GUIDED_SHARE, DOORS_SHARE = 0.4, 0.3, 0.3
A_TIME_MINUTES = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; drawn and told unless it is given")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    tried = _decode(seed, time.monotonic() + DECODERS_SHARE * 60 * chosen.minutes)
    _keep(tried)
    found = _guide(GUIDED_SHARE * 60 * chosen.minutes, seed)
    times = max(1, round(DOORS_SHARE * chosen.minutes / A_TIME_MINUTES))
    sys.exit(_test(times, seed) or int(found))


def _guide(seconds: float, seed: int) -> bool:
    """Whether something was found of the parsers, each led by coverage for its share of the time."""
    if not guided.is_there():
        print("Atheris is not here: it is built for Linux on x86-64 alone. Nothing is led by coverage.")
        return False
    KEPT.mkdir(exist_ok=True)
    found = guided.run(KEPT, seconds=seconds, seed=seed)
    for name in found:
        print(f"{name}: what it neither takes nor refuses by name is kept as {KEPT}/{name}-…")
    return bool(found)


def _decode(seed: int, until: float) -> dict[str, Tried]:
    tried = {name: Tried() for name in ROUNDS}
    while time.monotonic() < until:
        for name, (attempt, count) in ROUNDS.items():
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name}, seed {seed}", flush=True)
                attempt(Path(folder), count, seed, tried[name])
        seed += 1
    return tried


def _keep(tried: dict[str, Tried]) -> None:
    for name, what in tried.items():
        print(f"{name}: {what.codes.total():,} files: {dict(what.codes.most_common())}")
        for place, (file, content, code) in enumerate(what.ended):
            KEPT.mkdir(exist_ok=True)
            kept = KEPT / f"{name}-{place}-{code}-{file.replace('/', '_')}"
            kept.write_bytes(content)
            print(f"  {code}: {kept}")


def _test(times: int, seed: int) -> int:
    """The parsers with so many times as many examples, and schemathesis at the door."""
    given = {**os.environ, "FUZZ_TIMES": str(times), "FUZZ_SEED": str(seed)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/fuzz/test_parsers.py", "tests/web/test_openapi.py"]
    return subprocess.run([*command, "-k", "not decoders"], env=given, check=False).returncode


if __name__ == "__main__":
    main()
