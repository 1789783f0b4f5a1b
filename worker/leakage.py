"""Signs that one thing stands on both sides of a split, which makes a model look better than it is.

All of them are suspicions: the thresholds are set so that ordinary tables raise none.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from worker.tables import MISSING, Texts

# What stands before the last number of a name: "song.00012" of "song.00012.wav.3" and of "song.00012.3.wav".
STEM = re.compile(r"(.+?)(?:\.[A-Za-z]\w{1,3})?[\s._\-/#:]+(?:[A-Za-z]{1,7}[\s._\-]?)?\d+(?:\.[A-Za-z]\w{1,3})?")
TELLING_NAME = re.compile(r"artist|album|song|track|work|piece|recording|composer|performer|file", re.IGNORECASE)
FEWEST_NAMES = 5
# More rows a name than this is a property of music, such as a key or a genre.
MOST_SHARERS = 50
SHARED_SHARE = 0.5
LOOKED_AT = 100_000
# Matching takes the square of the length; longer texts are no names.
LONGEST = 200

# Two rows so near in standardised units (root mean square over the columns) are one thing measured twice.
NEAR = 0.01
# With fewer continuous columns, near neighbours happen by chance.
FEWEST_COLUMNS = 4
FEWEST_VALUES = 20
# Rows compared, of the validation and of the training side: some 3 GFLOP at 64 columns, under a second.
COMPARED, AGAINST, AT_ONCE = 500, 50_000, 5_000
NEAR_SHARE = 0.01
# Of near rows so many are shown.
PAIRS = 10


def shared_names(name: str, column: Texts) -> str | None:
    """Say how rows share the names in a text or id column, or their stems ("song.00012" of "song.00012.wav.3")."""
    codes = column.codes[:LOOKED_AT]
    words = [column.words[code] for code in codes[codes != MISSING].tolist()]
    if TELLING_NAME.search(name) and _are_shared(words, rows=len(codes)):
        return f"column {name!r} names {len(set(words))} things in {len(words)} rows"
    stems = [found.group(1) for word in words if len(word) <= LONGEST and (found := STEM.fullmatch(word))]
    if len(set(words)) == len(words) and _are_shared(stems, rows=len(codes)):
        return f"column {name!r} has names that begin alike: {max(Counter(stems).values())} of them"
    return None


def _are_shared(names: list[str], *, rows: int) -> bool:
    counts = Counter(names)
    sharing = sum(count for count in counts.values() if count > 1)
    return len(counts) >= FEWEST_NAMES and sharing >= SHARED_SHARE * rows and len(names) <= MOST_SHARERS * len(counts)


@dataclass(frozen=True)
class Near:
    """The share of held-out rows that have a nearly equal training row; of some the places of both, the nearest first.

    A pair is the place of the held-out row and that of its training row.
    """

    share: float
    pairs: list[tuple[int, int]]


def near(train: np.ndarray, held_out: np.ndarray) -> Near | None:
    """Compare (at most 500) held-out rows with (at most 50,000) training rows; None where chance would make some near.

    Both are matrices of the same columns; only those with many values are compared, in standardised units.
    """
    places, against = _spread(len(held_out), COMPARED), _spread(len(train), AGAINST)
    ours, theirs = held_out[places], train[against]
    columns = [place for place in range(train.shape[1]) if len(np.unique(theirs[:2000, place])) > FEWEST_VALUES]
    if len(columns) < FEWEST_COLUMNS or len(ours) == 0:
        return None
    # Beyond 10 standard deviations a row is near to none; the clip keeps float32 exact enough for the rest.
    mean, scale = theirs[:, columns].mean(axis=0, dtype=np.float64), theirs[:, columns].std(axis=0, dtype=np.float64)
    ours = np.clip((ours[:, columns] - mean) / scale, -10, 10).astype(np.float32)
    theirs = np.clip((theirs[:, columns] - mean) / scale, -10, 10).astype(np.float32)
    distances, which = _nearest(ours, theirs)
    is_near = distances < NEAR**2 * len(columns)
    nearest = np.argsort(distances, kind="stable")[: min(PAIRS, int(is_near.sum()))]
    return Near(float(is_near.mean()), [(int(places[row]), int(against[which[row]])) for row in nearest.tolist()])


def _spread(rows: int, most: int) -> np.ndarray:
    """The places of at most so many rows, evenly over the whole."""
    return np.arange(rows) if rows <= most else np.linspace(0, rows - 1, most).astype(np.int64)


def _nearest(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance of each of our rows to the nearest of theirs, and the place of that."""
    best, which = np.full(len(ours), np.inf, np.float32), np.zeros(len(ours), np.int64)
    for first in range(0, len(theirs), AT_ONCE):
        some = theirs[first : first + AT_ONCE]
        squares = (ours**2).sum(axis=1)[:, None] + (some**2).sum(axis=1) - 2 * ours @ some.T
        place = squares.argmin(axis=1)
        least = squares[np.arange(len(ours)), place]
        is_nearer = least < best
        best[is_nearer], which[is_nearer] = least[is_nearer], first + place[is_nearer]
    return best, which
