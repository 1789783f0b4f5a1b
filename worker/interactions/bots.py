"""Users who cannot be listeners, by how much they have played."""

import numpy as np

from worker.interactions.stored import Interactions

DAY_S = 86_400.0
# A play counts from thirty seconds on: nobody has more of them in a day.
EVENTS_A_DAY = 2_880
# Without times only the others can be compared with: so many items, or so much weight, has nobody by listening.
ITEMS_AT_LEAST, ITEMS_TIMES, ITEMS_PERCENTILE = 1_000, 20.0, 99.0
WEIGHT_AT_LEAST, WEIGHT_TIMES, WEIGHT_PERCENTILE = 1e6, 100.0, 99.9


def bots(interactions: Interactions) -> np.ndarray:
    """The places of the users whose counts are implausible, sorted; int64."""
    if not len(interactions.user):
        return np.empty(0, np.int64)
    if interactions.time is not None:
        return _busy(interactions.user, np.floor(interactions.time / DAY_S))
    users = len(interactions.users)
    pairs = np.unique(interactions.user.astype(np.int64) * len(interactions.items) + interactions.item)
    items = np.bincount(pairs // len(interactions.items), minlength=users)
    weight = np.bincount(interactions.user, interactions.weight, minlength=users)
    many = items > np.maximum(ITEMS_AT_LEAST, ITEMS_TIMES * _of_others(items, ITEMS_PERCENTILE))
    heavy = weight > np.maximum(WEIGHT_AT_LEAST, WEIGHT_TIMES * _of_others(weight, WEIGHT_PERCENTILE))
    return np.flatnonzero(many | heavy)


def _of_others(counts: np.ndarray, percentile: float) -> np.ndarray:
    """For each user the percentile of all others' counts, float64 (users,); infinite for one who is alone.

    Never between two counts: among few users it would lie halfway to a bot.
    """
    if len(counts) < 2:
        return np.full(len(counts), np.inf)
    ordered = np.sort(counts)
    place = int((len(counts) - 2) * percentile / 100)
    # Without the user, who stands at `own`, what comes after moves down by one.
    own = np.searchsorted(ordered, counts)
    return ordered[place + (own <= place)].astype(np.float64)


def _busy(user: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Who has more than EVENTS_A_DAY on one day; events are sorted by user, then by time."""
    begins = np.flatnonzero(np.concatenate([[True], (user[1:] != user[:-1]) | (day[1:] != day[:-1])]))
    counts = np.diff(np.concatenate([begins, [len(user)]]))
    return np.unique(user[begins[counts > EVENTS_A_DAY]]).astype(np.int64)
