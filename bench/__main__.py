"""`python -m bench [module …] [--rounds N]`: measure, print, and write bench/RESULTS.md; a missed bar is no error."""

import argparse
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from bench import results
from bench.measurement import Measurement

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
# The least whose median one disturbed round does not move.
ROUNDS = 5


def main() -> None:
    known = discover()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help=f"one of {', '.join(known)}; all without one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    wrong = sorted(set(arguments.modules) - set(known))
    if wrong:
        parser.error(f"expected {', '.join(known)}, received {', '.join(wrong)}")
    for name in arguments.modules or known:
        print(f"{name}: {arguments.rounds} rounds", flush=True)
        _write({name: _measure(name, arguments.rounds)}, rounds=arguments.rounds)


def discover() -> list[str]:
    """The modules that measure, told by their text: to import them all would load TensorFlow."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef measure(rounds: int)" in path.read_text())


def _measure(name: str, rounds: int) -> list[Measurement]:
    # A process of its own: what one module loads neither helps nor hinders the next.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, name, rounds).result()


def _run(name: str, rounds: int) -> list[Measurement]:
    measured: list[Measurement] = import_module(f"bench.{name}").measure(rounds)
    return measured


def _write(measured: dict[str, list[Measurement]], *, rounds: int) -> None:
    for row in (each for rows in measured.values() for each in rows):
        said = "met" if row.is_met else "MISSED"
        print(
            f"  {row.name}: {row.ours:.4g} to {row.peer:.4g} {row.unit}, {row.ratio:.3g} ({row.bar}, {said})",
            flush=True,
        )
    before = RESULTS.read_text() if RESULTS.exists() else ""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    RESULTS.write_text(results.render(before, measured, at=at, rounds=rounds))


if __name__ == "__main__":
    main()
