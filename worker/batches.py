"""Which rows train and which validate: the last rows, the latest, a seeded shuffle, whole groups, folds; pure NumPy.

Both sides come back in file order; the order within an epoch is the training's own affair.
"""

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Split:
    """Row places, rising; `validation` may be empty, and so may `test`, which neither trains nor chooses."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


def last_rows(rows: int, fraction: float) -> Split:
    """The split of Keras's `validation_split`: the last rows in file order validate."""
    first = math.floor(rows * (1.0 - fraction))
    return Split(np.arange(first), np.arange(first, rows))


def shuffled(strata: np.ndarray, fraction: float, *, seed: int) -> Split:
    """A seeded share of the rows; each stratum (a class a row, all equal for none) gives its share where it can."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    counts = np.unique(strata, return_counts=True)[1]
    starts = np.cumsum(counts) - counts
    is_validation = np.zeros(len(strata), bool)
    for start, share in zip(starts.tolist(), allot(counts, fraction).tolist(), strict=True):
        is_validation[order[start : start + share]] = True
    return _split(is_validation)


def allot(counts: np.ndarray, fraction: float) -> np.ndarray:
    """How many rows of each class validate: about its share, at least one, and never its last row."""
    wanted, most = fraction * counts, counts - 1
    shares = np.clip(np.floor(wanted), np.minimum(1, most), most).astype(np.int64)
    short = round(float(wanted.sum())) - int(shares.sum())
    by_remainder = np.argsort(shares - wanted, kind="stable")
    with_room = by_remainder[shares[by_remainder] < most[by_remainder]]
    shares[with_room[: max(short, 0)]] += 1
    return shares


def grouped(groups: np.ndarray, fraction: float, *, seed: int, strata: np.ndarray) -> Split:
    """A seeded share of whole groups, stratum by stratum where a stratum has two; a group counts for its commonest one.

    With fewer than two groups nothing can validate, and `validation` is empty.
    """
    random = np.random.default_rng(seed)
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    main = _commonest(places, np.unique(strata, return_inverse=True)[1])
    chosen = [
        group
        for stratum in np.unique(main)
        for group in _choose(np.flatnonzero(main == stratum), sizes, fraction, random=random)
    ]
    if not chosen:
        chosen = _choose(np.arange(len(sizes)), sizes, fraction, random=random)
    return _split(np.isin(places, chosen))


def latest(times: np.ndarray, groups: np.ndarray, fraction: float) -> Split:
    """About this share of the rows validates, the latest of them; rows of one moment or one group stay together.

    A group stands where its latest row stands, so nothing that trains is later than anything that was cut off. Where
    all are of one moment nothing can validate.
    """
    _, places = np.unique(groups, return_inverse=True)
    moments = np.full(int(places.max()) + 1, -np.inf)
    np.maximum.at(moments, places, times)
    stands = moments[places]
    cuts, counts = np.unique(stands, return_counts=True)
    if len(cuts) < 2:
        return Split(np.arange(len(times)), np.empty(0, np.int64))
    # From each moment on so many rows validate; the first moment of all would leave nobody to train.
    validating = counts[::-1].cumsum()[::-1][1:]
    cut = cuts[1:][np.argmin(np.abs(validating - fraction * len(times)))]
    return _split(stands >= cut)


def folds(groups: np.ndarray, k: int, *, seed: int, strata: np.ndarray) -> list[Split]:
    """Splits in which every row validates once: whole groups, strata spread evenly over folds of about one size.

    A group of one row each gives the stratified folds of rows. Groups are dealt in random order, the larger first,
    each to the fold that has the fewest rows of its commonest stratum, of equals to the smallest. With fewer groups
    than folds some validate nothing.
    """
    random = np.random.default_rng(seed)
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    main = _commonest(places, np.unique(strata, return_inverse=True)[1])
    of_stratum, of_fold = np.zeros((int(main.max()) + 1, k), np.int64), np.zeros(k, np.int64)
    fold_of = np.zeros(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    for group in order[np.argsort(-sizes[order], kind="stable")].tolist():
        fold = int(np.lexsort((of_fold, of_stratum[main[group]]))[0])
        fold_of[group] = fold
        of_stratum[main[group], fold] += sizes[group]
        of_fold[fold] += sizes[group]
    return [_split(fold_of[places] == fold) for fold in range(k)]


def first_seen(codes: np.ndarray) -> np.ndarray:
    """The same codes numbered by where each first stands, whatever they were called."""
    _, first, places = np.unique(codes, return_index=True, return_inverse=True)
    ranks: np.ndarray = np.argsort(np.argsort(first))
    return ranks[places]


def _commonest(places: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Each group's most frequent stratum, the first of equals."""
    strata = int(codes.max()) + 1
    pairs, counts = np.unique(places * strata + codes, return_counts=True)
    order = np.lexsort((-counts, pairs // strata))
    first = np.unique(pairs[order] // strata, return_index=True)[1]
    return pairs[order][first] % strata


def _choose(groups: np.ndarray, sizes: np.ndarray, fraction: float, *, random: np.random.Generator) -> list[int]:
    """Groups in random order as long as they bring the rows nearer to the share; at least one, never all."""
    if len(groups) < 2:
        return []
    wanted, taken = fraction * float(sizes[groups].sum()), 0
    chosen: list[int] = []
    for group in random.permutation(groups)[:-1].tolist():
        size = int(sizes[group])
        if abs(taken + size - wanted) < abs(taken - wanted):
            chosen.append(group)
            taken += size
    return chosen or [int(groups[sizes[groups].argmin()])]


def _split(is_validation: np.ndarray) -> Split:
    return Split(np.flatnonzero(~is_validation), np.flatnonzero(is_validation))
