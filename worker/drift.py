"""Whether what a model is given, and what it says, is still distributed as it was: counted in bins, compared by PSI.

Counts are integers and add up, so a scoring says the same however it was cut. The bins are learned once, by a training:
a number's from its deciles there, a word's are the words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy import stats

from shared.schema import Closed
from worker.features import FLOAT32_MAX, Category, Feature, names

Json = dict[str, Any]

# More rows tell nothing that matters: by chance the index of ten bins is then about 0.0005.
SAMPLE_ROWS = 20_000
DECILES = np.arange(1, 10) / 10
# Of a number's size: what is nearer to another one is the same.
NEAR = 1e-5
OWN_SHARE = 0.2
# Of fewer rows nobody can say how they are distributed.
FEWEST_ROWS = 20
# Of all columns together: how seldom mere chance passes for drift.
FALSE_ALARMS = 0.001
SHOWN = 5
NAMED = 3


@dataclass(frozen=True)
class Words:
    """Values of a column that has no numbers: places among words, or after the last for any other."""

    words: tuple[str, ...]
    places: np.ndarray


# A column of rows: float numbers, NaN where missing, or words.
Values = np.ndarray | Words
Columns = Mapping[str, Values]


class Bins(Closed):
    """Where a column's values are counted; one bin more than edges or words, for the missing and the unknown."""

    name: str
    # A value lies in the bin after the last edge that is not above it.
    edges: tuple[float, ...] | None = None
    words: tuple[str, ...] | None = None
    # To tell an edge in the client's units.
    mean: float = 0.0
    scale: float = 1.0

    @property
    def size(self) -> int:
        return len(self.words) + 1 if self.words is not None else len(self.edges or ()) + 2

    def count(self, values: Values) -> np.ndarray:
        """How many values lie in each bin, int64 (size,)."""
        if isinstance(values, Words):
            return np.bincount(values.places.astype(np.int64), minlength=self.size)
        # A NaN is above nothing. With ten edges this takes a fifth of the time of a search for each value.
        missing = np.count_nonzero(np.isnan(values))
        above = [np.count_nonzero(values >= edge) for edge in np.array(self.edges, values.dtype)]
        return -np.diff([len(values) - missing, *above, 0], append=-missing)

    def told(self, place: int) -> Json:
        """What lies in a bin, as a client reads it: a word, the numbers from an edge to before the next, or nothing."""
        if self.words is not None:
            return {"word": self.words[place] if place < len(self.words) else None}
        if place == self.size - 1:
            return {"missing": True}
        edges = [float(f"{edge * self.scale + self.mean:.6g}") for edge in self.edges or ()]
        return {
            "from": edges[place - 1] if place else None,
            "to": edges[place] if place < len(edges) else None,
        }


class Counted(Closed):
    """A column's bins, and how many values lay in each."""

    bins: Bins
    counts: tuple[int, ...]


class Counts(Closed):
    """Of all columns that go in, and all that come out; `rows` were looked at."""

    version: Literal[1] = 1
    rows: int
    inputs: tuple[Counted, ...]
    outputs: tuple[Counted, ...]

    @property
    def size(self) -> int:
        """How many numbers `count` returns."""
        return 1 + sum(each.bins.size for each in (*self.inputs, *self.outputs))

    def count(self, given: Columns, said: Columns, rows: int) -> np.ndarray:
        """The rows, then the bins of every column, one after the other; these add up."""
        parts = [np.array([rows])]
        parts += [each.bins.count(given[each.bins.name]) for each in self.inputs]
        parts += [each.bins.count(said[each.bins.name]) for each in self.outputs]
        return np.concatenate(parts)

    def filled(self, numbers: np.ndarray) -> "Counts":
        """The same bins with what was counted instead."""
        ends = np.cumsum([each.bins.size for each in (*self.inputs, *self.outputs)])
        parts = iter(np.split(numbers[1:], ends[:-1]))
        inputs, outputs = (
            tuple(Counted(bins=each.bins, counts=tuple(next(parts).tolist())) for each in side)
            for side in (self.inputs, self.outputs)
        )
        return Counts(rows=int(numbers[0]), inputs=inputs, outputs=outputs)


def is_sampled(numbers: np.ndarray, total: int) -> np.ndarray:
    """Which rows are looked at, by their number among `total`: about SAMPLE_ROWS, spread evenly.

    Knuth's multiplicative hash, The Art of Computer Programming 3, 6.4: it meets no period that the rows may have.
    """
    if total <= SAMPLE_ROWS:
        return np.ones(len(numbers), bool)
    hashed = (numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return np.asarray(hashed < np.uint64(SAMPLE_ROWS * 2**32 // total))


def taken(columns: Columns, rows: np.ndarray) -> Columns:
    """The columns of some rows, chosen by a mask."""
    return {
        name: Words(each.words, each.places[rows]) if isinstance(each, Words) else each[rows]
        for name, each in columns.items()
    }


def of_matrix(features: Sequence[Feature], x: np.ndarray) -> Columns:
    """The client's columns again, from what the network is given of them (rows, outputs)."""
    columns: dict[str, Values] = {}
    place = 0
    for feature in features:
        block = x[:, place : place + len(feature.outputs)]
        place += len(feature.outputs)
        if isinstance(feature, Category):
            words = (*feature.words, "(other)") if feature.rest else feature.words
            columns[feature.name] = Words(words, np.where(block.any(axis=1), block.argmax(axis=1), len(words)))
        else:
            columns[feature.name] = _with_gaps(block) if feature.indicator else block[:, 0]
    assert place == len(names(features))
    return columns


def _with_gaps(block: np.ndarray) -> np.ndarray:
    values = block[:, 0].copy()
    values[block[:, 1] > 0] = np.nan
    return values


def learn(columns: Columns, features: Sequence[Feature] = ()) -> tuple[Counted, ...]:
    """Bins for every column, and how many rows lie in each; `features` say in which units a client knows them."""
    units = {each.name: (each.mean, each.scale) for each in features if not isinstance(each, Category)}
    learned = []
    for name, values in columns.items():
        mean, scale = units.get(name, (0.0, 1.0))
        if isinstance(values, Words):
            bins = Bins(name=name, words=values.words)
        else:
            bins = Bins(name=name, edges=_edges(values), mean=mean, scale=scale)
        learned.append(Counted(bins=bins, counts=tuple(bins.count(values).tolist())))
    return tuple(learned)


def _edges(values: np.ndarray) -> tuple[float, ...]:
    """Where the deciles part the values, halfway between two; a value that fills a fifth has a bin of its own.

    What differs by no more than rounding is one value: another processor adds up in another order.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values):
        return ()
    distinct, counts = np.unique(values, return_counts=True)
    near = NEAR * (max(distinct[-1] - distinct[0], abs(distinct[0]), abs(distinct[-1])) or 1.0)
    firsts = np.flatnonzero(np.diff(distinct, prepend=-np.inf) > near)
    low, high = distinct[firsts], distinct[np.append(firsts[1:], len(distinct)) - 1]
    rows = np.add.reduceat(counts, firsts)
    gaps = (high[:-1] + low[1:]) / 2
    below = np.cumsum(rows)[:-1]
    edges = {gaps[np.abs(below - each).argmin()] for each in DECILES * len(values)} if len(gaps) else set[float]()
    for place in np.flatnonzero((rows >= OWN_SHARE * len(values)) & (rows > 1)):
        edges.add(gaps[place - 1] if place else low[place] - 2 * near)
        edges.add(gaps[place] if place < len(gaps) else high[place] + 2 * near)
    return tuple(sorted(float(np.clip(edge, -FLOAT32_MAX, FLOAT32_MAX)) for edge in edges))


@dataclass(frozen=True)
class Move:
    """How far a column is from where it was: the index, and what chance alone would reach."""

    name: str
    index: float
    chance: float
    bin: Json
    before: float
    now: float

    def as_json(self) -> Json:
        return {
            "name": self.name,
            "psi": round(self.index, 4),
            "chance": round(self.chance, 4),
            "largest_move": {**self.bin, "before": round(self.before, 4), "now": round(self.now, 4)},
        }


def compare(before: Sequence[Counted], now: Sequence[Counted]) -> list[Move]:
    """The columns that both have in the same bins, and the older one of enough rows; the furthest moved first."""
    known = {each.bins.name: each for each in before}
    pairs = [(known[each.bins.name], each) for each in now if each.bins.name in known]
    same = [(old, new) for old, new in pairs if old.bins == new.bins and any(new.counts)]
    same = [(old, new) for old, new in same if sum(old.counts) >= FEWEST_ROWS]
    moves = [_move(old, new, columns=len(same)) for old, new in same]
    return sorted(moves, key=lambda move: -move.index)


def _move(old: Counted, new: Counted, *, columns: int) -> Move:
    """The Population Stability Index, the sum of (q - p) ln(q / p) over the bins.

    Chance: of two samples of n and m rows of one distribution the index is about (1/n + 1/m) times a chi-squared
    variable with one degree of freedom fewer than bins (Yurdakul, "Statistical Properties of the Population Stability
    Index", 2018). Half a row is added to each bin, for the empty ones.
    """
    then, since = np.array(old.counts), np.array(new.counts)
    met = (then > 0) | (since > 0)
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * met.sum()) for counts in (then, since))
    index = float(((q - p) * np.log(q / p))[met].sum())
    freedom = max(1, int(met.sum()) - 1)
    chance = float(1 / then.sum() + 1 / since.sum()) * _beyond(FALSE_ALARMS / columns, freedom)
    shares = then / then.sum(), since / since.sum()
    place = int(np.abs(shares[1] - shares[0]).argmax())
    return Move(new.bins.name, index, chance, new.bins.told(place), float(shares[0][place]), float(shares[1][place]))


@lru_cache(maxsize=1024)
def _beyond(chance: float, freedom: int) -> float:
    """What a chi-squared variable exceeds this seldom."""
    return float(stats.chi2.isf(chance, freedom))


def has_moved(move: Move, threshold: float) -> bool:
    """Further than the threshold, and than chance."""
    return move.index > threshold and move.index > move.chance


def told(moves: Sequence[Move], threshold: float) -> Json:
    """What a result says of one side."""
    moved = len([move for move in moves if has_moved(move, threshold)])
    return {"columns": len(moves), "drifted": moved, "most": [move.as_json() for move in moves[:SHOWN]]}


def warning(side: str, since: str, moves: Sequence[Move], threshold: float) -> Json | None:
    """What to warn of, if any column has moved; `side` is inputs or outputs."""
    moved = [move for move in moves if has_moved(move, threshold)]
    if not moved:
        return None
    worst = ", ".join(repr(move.name) for move in moved[:NAMED])
    detail = (
        f"{len(moved)} of {len(moves)} {side} are distributed otherwise than {since}, most of all {worst} "
        f"(PSI {moved[0].index:.2f}, warned of from {threshold:g} on): check them before you rely on the predictions."
    )
    return {"code": f"{side}_drifted", "detail": detail}
