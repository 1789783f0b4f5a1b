"""How far a metric moves when rows are drawn again: percentile bootstrap (Efron and Tibshirani 1993, chapter 13).

Rows that belong together, as the tracks of an artist, are drawn together: alone each would pass for news that it is
not, and the interval would be too narrow (Field and Welsh 2007, "Bootstrapping clustered data").
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

# Of many rows fewer resamples are enough: the interval is narrow, and each resample costs as much as all rows.
RESAMPLES, LEAST_RESAMPLES, CELLS = 1000, 200, 20_000_000
# Numbers that are drawn at once: 32 MiB of them.
AT_ONCE = 1 << 22
BOUNDS = 2.5, 97.5  # percentiles that hold 95 % between them
# A metric that fewer resamples have than this, such as the area of a class that is often absent, has no interval.
LEAST_DEFINED = 0.9

# How often each row stands in each resample, float64 (resamples, rows), to the metrics of each, (resamples,) each.
Weighted = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Interval = list[float] | None


@dataclass(frozen=True)
class Paired:
    """How far the difference of a metric between two versions moves, and how likely it is one of chance.

    `p` is two-sided: twice the share of resamples on the rarer side of no difference, by which the percentile interval
    becomes a test (Efron and Tibshirani 1993, chapters 13 and 15; one is added to both counts, so that no p is 0).
    """

    interval: list[float]
    p: float


def intervals(weighted: Weighted, units: np.ndarray, *, seed: int, check: Callable[[], None]) -> dict[str, Interval]:
    """The 95 % interval of each metric; None where it cannot be told. `units` (rows,) says which rows are one.

    `check` is called between, and may raise.
    """
    parts: list[Mapping[str, np.ndarray]] = []
    for drawn in draw(units, seed):
        check()
        parts.append(weighted(drawn))
    return {name: _interval(np.concatenate([part[name] for part in parts])) for name in (parts[0] if parts else {})}


def paired(
    ours: Weighted, theirs: Weighted, units: np.ndarray, *, seed: int, check: Callable[[], None]
) -> dict[str, Paired | None]:
    """Ours less theirs, both on the same resamples of the same rows; None where that cannot be told.

    `check` is called between, and may raise.
    """
    parts: list[dict[str, np.ndarray]] = []
    for drawn in draw(units, seed):
        check()
        one, other = ours(drawn), theirs(drawn)
        parts.append({name: one[name] - other[name] for name in one if name in other})
    return {name: _paired(np.concatenate([part[name] for part in parts])) for name in (parts[0] if parts else {})}


def _paired(differences: np.ndarray) -> Paired | None:
    interval = _interval(differences)
    if interval is None:
        return None
    defined = differences[np.isfinite(differences)]
    rarer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return Paired(interval, min(1.0, 2 * (rarer + 1) / (len(defined) + 1)))


def draw(units: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """How often each row stands in some resamples, (some, rows) float64, until there are enough; none of one unit."""
    known, places = np.unique(units, return_inverse=True)
    if len(known) < 2:
        # The one could be drawn only over and over, and a width of nothing would be read as certainty.
        return
    random = np.random.Generator(np.random.PCG64(seed))
    wanted = int(np.clip(CELLS // len(units), LEAST_RESAMPLES, RESAMPLES))
    some = max(1, AT_ONCE // len(units))
    for first in range(0, wanted, some):
        drawn = random.integers(len(known), size=(min(some, wanted - first), len(known)))
        times = np.stack([np.bincount(each, minlength=len(known)) for each in drawn])
        yield times[:, places].astype(np.float64)


def _interval(values: np.ndarray) -> Interval:
    defined = values[np.isfinite(values)]
    if len(defined) < LEAST_DEFINED * len(values):
        return None
    return [float(end) for end in np.percentile(defined, BOUNDS)]
