"""What would have to change for another answer: the nearest point, along few columns, at which a network says so.

Wachter, Mittelstadt & Russell, "Counterfactual explanations without opening the black box", 2017: the least distance in
L1, each column in its standard deviations. Searched greedily, column by column, so that few are named; of a linear
network the nearest point lies along one column, and is found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_CHANGES = 3
# Of each column so many values are tried, over the range of the training.
VALUES = 33
# Those whose whole range moves the answer most by the slopes at the row; the others are not tried.
COLUMNS_TRIED = 32
# A change is then narrowed down so many times, to a 32nd each: finer than float32 is.
NARROWED = 5
PARTS = 32
# Beyond the border by this much: another order of adding up shall not bring it back.
MARGIN = 1e-6

Network = Callable[[np.ndarray], np.ndarray]
# From outputs (points, outputs) to how far each is beyond being another answer; above 0 it is one.
Progress = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Space:
    """The inputs that may change: their places in the matrix, how far they may go, and what counts as much."""

    places: np.ndarray  # (columns,)
    low: np.ndarray
    high: np.ndarray
    deviation: np.ndarray

    def of(self, chosen: Sequence[int]) -> "Space":
        """Some of them, by their order here."""
        each = np.asarray(chosen, np.int64)
        return Space(self.places[each], self.low[each], self.high[each], self.deviation[each])


@dataclass(frozen=True)
class Change:
    """An input's place, and the value that it would have to have."""

    place: int
    value: float


def find(network: Network, row: np.ndarray, slopes: np.ndarray, space: Space, progress: Progress) -> list[Change]:
    """The changes of a row (inputs,) that make its answer another; empty where none was found.

    `slopes` (inputs,) are those of the answer at the row.
    """
    tried = space.of(_strongest(slopes, space).tolist())
    found, free, changed = row.copy(), list(range(len(tried.places))), list[int]()
    # A row may lie outside the range; what it is told to become does not.
    starts = row.copy()
    starts[tried.places] = np.clip(row[tried.places], tried.low, tried.high)

    def judge(points: np.ndarray) -> np.ndarray:
        return np.nan_to_num(progress(network(points)), nan=-np.inf) - MARGIN

    while free and len(changed) < MOST_CHANGES:
        step = _step(judge, found, tried.of(free))
        if step is None:
            return []
        place, value, is_reached = step
        changed.append(place)
        free = [column for column in free if tried.places[column] != place]
        found[place] = value
        if is_reached:
            return _shortened(judge, row, found, starts, changed)
    return []


def _strongest(slopes: np.ndarray, space: Space) -> np.ndarray:
    moves = np.abs(slopes[space.places]) * (space.high - space.low)
    return np.argsort(-np.nan_to_num(moves), kind="stable")[:COLUMNS_TRIED]


def _step(judge: Progress, row: np.ndarray, space: Space) -> tuple[int, float, bool] | None:
    """The input to change next, its value, and whether that is enough: the nearest such, else the farthest towards it.

    None where no value of any comes nearer.
    """
    values = np.linspace(space.low, space.high, VALUES, axis=1, dtype=np.float32)
    gains = _tried(judge, row, space.places, values)
    distances = np.abs(values - row[space.places][:, None])
    reaching = np.flatnonzero((gains > 0).any(axis=1))
    if len(reaching):
        nearest = np.where(gains > 0, distances, np.inf).argmin(axis=1)[reaching]
        places = space.places[reaching]
        starts = np.clip(row[places], space.low[reaching], space.high[reaching])
        exact = _narrowed(judge, row, places, starts, values[reaching, nearest])
        best = int((np.abs(exact - row[places]) / space.deviation[reaching]).argmin())
        return int(places[best]), float(exact[best]), True
    if gains.max() <= float(judge(row[None])[0]):
        return None
    column, place = np.unravel_index(np.lexsort((distances.ravel(), -gains.ravel()))[0], gains.shape)
    return int(space.places[column]), float(values[column, place]), False


def _tried(judge: Progress, row: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What comes of a row with one input at another value, (columns, values) each."""
    points = np.repeat(row[None], values.size, axis=0)
    points[np.arange(values.size), np.repeat(places, values.shape[1])] = values.ravel()
    return judge(points).reshape(values.shape)


def _narrowed(
    judge: Progress, row: np.ndarray, places: np.ndarray, starts: np.ndarray, reached: np.ndarray
) -> np.ndarray:
    """Of each input the value nearest to where it starts at which the answer is another, as it is at `reached`."""
    missed, columns = starts, np.arange(len(places))
    shares = (np.arange(1, PARTS + 1) / PARTS).astype(np.float32)
    for _ in range(NARROWED):
        values = missed[:, None] + (reached - missed)[:, None] * shares
        # Rounding shall not lose what is known.
        values[:, -1] = reached
        first = (_tried(judge, row, places, values) > 0).argmax(axis=1)
        missed = np.where(first > 0, values[columns, first - 1], missed)
        reached = values[columns, first]
    return reached


def _shortened(
    judge: Progress, row: np.ndarray, found: np.ndarray, starts: np.ndarray, places: Sequence[int]
) -> list[Change]:
    """The same with each change brought back as far as it may be: the first were taken as far as they went."""
    for place in places:
        undone = found.copy()
        undone[place] = row[place]
        if float(judge(undone[None])[0]) > 0:
            found = undone
        else:
            found[place] = _narrowed(judge, undone, np.array([place]), starts[[place]], found[[place]])[0]
    return [Change(place, float(found[place])) for place in places if found[place] != row[place]]
