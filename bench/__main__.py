"""`python -m bench [module …] [--rounds N]`: measure, print, and write bench/RESULTS.md; a missed bar is no error."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import modules, results
from bench.measurement import Measurement

RESULTS = modules.FOLDER / "RESULTS.md"
# The least whose median one disturbed round does not move.
ROUNDS = 5


def main() -> None:
    known = modules.discover()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Etude beside its peers.")
    parser.add_argument("modules", nargs="*", metavar="module", help=f"one of {', '.join(known)}; all without one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    wrong = sorted(set(arguments.modules) - set(known))
    if wrong:
        parser.error(f"expected {', '.join(known)}, received {', '.join(wrong)}")
    for name in arguments.modules or known:
        lacking = modules.lacks(name)
        if lacking and not arguments.modules:
            # Data that is not ours to hand out.
            print(f"{name}: left out, {lacking} is not set", flush=True)
            continue
        print(f"{name}, {arguments.rounds} rounds", flush=True)
        measured = modules.run(name, rounds=arguments.rounds)
        _print(measured)
        _write(name, measured, rounds=arguments.rounds)


def _print(measured: Sequence[Measurement]) -> None:
    for row in measured:
        said = "met" if row.is_met else "MISSED"
        print(f"  {row.name}: {row.ours:.4g} to {row.peer:.4g} {row.unit}, {row.ratio:.3g} ({row.bar}: {said})")


def _write(name: str, measured: Sequence[Measurement], *, rounds: int) -> None:
    """After each module: what has been measured is kept if the next one breaks."""
    before = RESULTS.read_text() if RESULTS.exists() else ""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    RESULTS.write_text(results.render(before, {name: measured}, at=at, rounds=rounds))


if __name__ == "__main__":
    main()
