"""Signs that one thing stands on both sides of a split, which makes a model look better than it is.

All of them are suspicions: the thresholds are set so that ordinary tables raise none.
"""

import re
from collections import Counter

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


def shared_names(name: str, column: Texts) -> str | None:
    """Say how rows share the names in a text or id column, or their stems ("song.00012" of "song.00012.wav.3")."""
    codes = column.codes[:LOOKED_AT]
    words = [column.words[code] for code in codes[codes != MISSING].tolist()]
    if TELLING_NAME.search(name) and _are_shared(words, rows=len(codes)):
        return f"column {name!r} names {len(set(words))} things in {len(words)} rows"
    stems = [found.group(1) for word in words if len(word) <= LONGEST and (found := STEM.fullmatch(word))]
    if len(set(words)) == len(words) and _are_shared(stems, rows=len(codes)):
        return f"column {name!r} has names that begin alike, such as {Counter(stems).most_common(1)[0][0]!r}"
    return None


def _are_shared(names: list[str], *, rows: int) -> bool:
    counts = Counter(names)
    sharing = sum(count for count in counts.values() if count > 1)
    return len(counts) >= FEWEST_NAMES and sharing >= SHARED_SHARE * rows and len(names) <= MOST_SHARERS * len(counts)


def near_share(train: np.ndarray, validation: np.ndarray) -> float:
    """The share of (at most 500) validation rows that have a nearly equal training row; 0 where chance would make some.

    Both are matrices of the same columns; only those with many values are compared, in standardised units.
    """
    ours, theirs = _spread(validation, COMPARED), _spread(train, AGAINST)
    columns = [place for place in range(train.shape[1]) if len(np.unique(theirs[:2000, place])) > FEWEST_VALUES]
    if len(columns) < FEWEST_COLUMNS or len(ours) == 0:
        return 0.0
    # Beyond 10 standard deviations a row is near to none; the clip keeps float32 exact enough for the rest.
    mean, scale = theirs[:, columns].mean(axis=0, dtype=np.float64), theirs[:, columns].std(axis=0, dtype=np.float64)
    ours = np.clip((ours[:, columns] - mean) / scale, -10, 10).astype(np.float32)
    theirs = np.clip((theirs[:, columns] - mean) / scale, -10, 10).astype(np.float32)
    nearest = np.min([_nearest(ours, theirs[at : at + AT_ONCE]) for at in range(0, len(theirs), AT_ONCE)], axis=0)
    return float((nearest < NEAR**2 * len(columns)).mean())


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly over the whole."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _nearest(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Squared distance of each of our rows to the nearest of theirs."""
    squares = (ours**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2 * ours @ theirs.T
    return squares.min(axis=1)
