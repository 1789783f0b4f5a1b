"""The modules that measure: found by their text, and each run in a process of its own."""

import os
import re
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from bench.measurement import Measurement

FOLDER = Path(__file__).parent


def discover() -> list[str]:
    """Their names; told by their text, for to import them all would load TensorFlow."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef measure(rounds: int)" in path.read_text())


def lacks(name: str) -> str | None:
    """The variable that a module needs to be told where its data lies, if it is not set."""
    named = re.search(r'^NEEDS = "(\w+)"$', (FOLDER / f"{name}.py").read_text(), re.MULTILINE)
    return named[1] if named and not os.environ.get(named[1]) else None


def run(name: str, *, rounds: int) -> list[Measurement]:
    """Have a module measure; what it loads neither helps nor hinders the next."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, name, rounds).result()


def _measure(name: str, rounds: int) -> list[Measurement]:
    measured: list[Measurement] = import_module(f"bench.{name}").measure(rounds)
    return measured
