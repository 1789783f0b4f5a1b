"""How near the seconds told before a job are to those it took: a list of varied small jobs, none of them twice alike.

The first jobs teach the service what this machine does; those after them are judged, each by what was told at its
submission.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.measurement import Measurement, compare
from bench.service import running

FACTOR, BAR = 1.5, "≥ 0.9"
ROWS = (200, 2000, 20_000)
# None: as many as it takes, until the validation rows say that it is enough.
UNITS, EPOCHS, BATCHES = (8, 64, 256), (5, 20, None), (32, 256)
COLUMNS = 16
LEARNED_FROM = 10
SEED = 5

Json = dict[str, Any]


def measure(rounds: int) -> list[Measurement]:
    """The share of the judged jobs that took what was told, within FACTOR; each round has a service of its own."""
    found = [_ratios(seed) for seed in range(rounds)]
    sorts = {"jobs": ("train", "score"), "trainings": ("train",), "scorings": ("score",)}
    return [_compare(named, [[ratio for action, ratio in each if action in of] for each in found])
            for named, of in sorts.items()]  # fmt: skip


def _compare(named: str, found: Sequence[Sequence[float]]) -> Measurement:
    pairs = [(max(share(ratios), 1e-9), 1.0) for ratios in found]
    every = sorted(ratio for ratios in found for ratio in ratios)
    worst = max(every, key=lambda ratio: abs(math.log(ratio)))
    middle = every[len(every) // 2]
    note = f"{len(found[0])} {named} after {LEARNED_FROM} jobs; real to told: median {middle:.2f}, worst {worst:.2f}"
    return compare(f"{named} told within a factor of {FACTOR}", pairs, unit="share", bar=BAR, note=note)


def share(ratios: Sequence[float]) -> float:
    """Of the ratios of real to told seconds those within FACTOR, either way."""
    return sum(1 / FACTOR <= ratio <= FACTOR for ratio in ratios) / len(ratios)


def _ratios(seed: int) -> list[tuple[str, float]]:
    """Of each judged job its action, and the real seconds to those told."""
    with running() as service:
        service.training_child()
        tables = {rows: service.upload(f"rows-{rows}", _table(rows), target="label") for rows in ROWS}
        done = [service.finish(service.submit(wanted)) for wanted in _jobs(tables, seed)]
    return [(str(job["action"]), float(job["estimate"]["actual_ratio"])) for job in done[LEARNED_FROM:]]


def _jobs(tables: dict[int, str], seed: int) -> Iterator[Json]:
    """Every training of the grid in an order of chance, and after every fourth a scoring by its model."""
    grid = list(itertools.product(ROWS, UNITS, EPOCHS, BATCHES))
    for place, chosen in enumerate(np.random.default_rng(SEED + seed).permutation(len(grid))):
        rows, units, epochs, batch_size = grid[chosen]
        params = {"hidden": [{"units": units}], "batch_size": batch_size, "seed": place}
        params |= {} if epochs is None else {"epochs": epochs}
        yield {"action": "train", "kind": "classification", "dataset": tables[rows], "model": "m", "params": params}
        if place % 4 == 3:
            yield {"action": "score", "dataset": tables[ROWS[place // 4 % len(ROWS)]], "model": "m@latest"}


def _table(rows: int) -> bytes:
    draw = np.random.default_rng(rows)
    numbers = draw.normal(size=(rows, COLUMNS)).round(4)
    labels = np.where(numbers[:, 0] + draw.normal(size=rows) > 0, "a", "b")
    head = ",".join([*(f"x{place}" for place in range(COLUMNS)), "label"])
    lines = (",".join([*map(str, values), label]) for values, label in zip(numbers, labels, strict=True))
    return "\n".join([head, *lines, ""]).encode()
