"""How much a model needs each column: what shuffling it among held-out rows costs of the kind's first metric.

Breiman, "Random forests", Machine Learning 2001; of any model: Fisher, Rudin & Dominici, JMLR 2019. A column is
shuffled as a whole, whatever number of inputs it has. Of two columns that tell the same neither is needed, and both
come out low.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from worker.features import Feature

REPEATS = 5
# Rows * columns * repeats * parameters at most, some 2 s of a core: of more, fewer of the rows are looked at.
WORK = 2e10
# More rows move the figures by less than shuffling again does; of fewer, chosen from many, chance would be all to see.
MOST_ROWS, FEWEST_ROWS = 2000, 20

Json = dict[str, Any]
# From places among the held-out rows, and the outputs for these, to the metric.
Judge = Callable[[np.ndarray, np.ndarray], float | None]


def measure(
    network: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    features: Sequence[Feature],
    judge: Judge,
    *,
    rows: int,
    is_higher_better: bool,
    seed: int,
    check: Callable[[], None],
) -> list[Json]:
    """`[{"column", "drop", "sd"}]`, what is needed most first, of `rows` of the matrix; `check` may raise.

    `drop` is the mean of how much worse the metric becomes, `sd` how far single shuffles differ. Empty where the metric
    cannot be told.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = np.sort(random.permutation(len(x))[:rows])
    looked_at = x[chosen]
    whole = judge(chosen, network(looked_at))
    if whole is None:
        return []
    found = []
    for feature, block in blocks(features):
        check()
        metrics = [judge(chosen, network(_shuffled(looked_at, block, random))) for _ in range(REPEATS)]
        drops = [whole - each if is_higher_better else each - whole for each in metrics if each is not None]
        if drops:
            found.append({"column": feature.name, "drop": float(np.mean(drops)), "sd": float(np.std(drops))})
    return sorted(found, key=lambda each: -float(str(each["drop"])))


def count_rows(rows: int, *, columns: int, parameters: int) -> int:
    """How many of the rows are looked at; 0 where too few can be afforded."""
    affordable = int(WORK / max(1, columns * REPEATS * parameters))
    chosen = min(rows, MOST_ROWS, affordable)
    return chosen if chosen >= min(rows, FEWEST_ROWS) else 0


def blocks(features: Sequence[Feature]) -> Iterator[tuple[Feature, slice]]:
    """Each feature with its columns of the matrix."""
    place = 0
    for feature in features:
        yield feature, slice(place, place + len(feature.outputs))
        place += len(feature.outputs)


def _shuffled(x: np.ndarray, block: slice, random: np.random.Generator) -> np.ndarray:
    shuffled = x.copy()
    shuffled[:, block] = x[random.permutation(len(x)), block]
    return shuffled
