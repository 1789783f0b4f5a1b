"""When a search has gone on long enough, from what its trials came to; pure functions, in the units of its metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Of fewer nothing can be said about the next.
LEAST_VALUES = 10
# The share of the trials by whose values the tail is judged.
TAIL = 1 / 3


@dataclass(frozen=True)
class Outlook:
    """What a further hour is expected to bring: so many trials, and so much by the metric."""

    trials: float
    gain: float


def outlook(values: Sequence[float], *, tried: int, better: str, elapsed_s: float) -> Outlook | None:
    """The expected rise of the best of `values` in an hour at the pace so far; None while too little is known.

    `tried` counts those given up early as well, which have no value. The best of n draws rises with the logarithm of n
    where the tail is exponential, by the mean excess of the tail for each factor of e (Rényi, "On the theory of order
    statistics", 1953). A sampler that learns does better than draws; a tail that ends does worse.
    """
    if len(values) < LEAST_VALUES or elapsed_s <= 0:
        return None
    best_first = sorted(values, reverse=better == "higher")
    tail = min(len(values), max(3, round(tried * TAIL)))
    excess = sum(abs(value - best_first[tail - 1]) for value in best_first[: tail - 1]) / (tail - 1)
    trials = tried * 3600.0 / elapsed_s
    return Outlook(trials, excess * math.log1p(trials / tried))
