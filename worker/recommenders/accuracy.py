"""How well ranked lists find what listeners went on to play, user by user (binary relevance).

Järvelin and Kekäläinen 2002 for NDCG; the other measures as in Manning, Raghavan and Schütze 2008, chapter 8. Where k
cuts a list, recall and average precision are of what fits into k, so that a perfect list of k always has 1.
"""

from collections.abc import Sequence

import numpy as np

from worker.recommenders.histories import Histories

# Cells (users, items) in which hits are looked up at once: this many bytes, which stay in a processor's cache.
CELLS = 1 << 24


def per_user(lists: np.ndarray, relevant: Histories, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Recall, precision, NDCG, MAP, hit and MRR at each k, as "recall@20" and so on; float64 (users,).

    `lists` int32 (users, places) are items, the best first, each once, -1 where there is none further. A user with
    nothing relevant has NaN everywhere. A list shorter than k is one whose last places hold no hit.
    """
    user, place = _hits(lists, relevant)
    lengths = relevant.lengths
    # Which of its user's hits each one is, from 1 on.
    found = np.arange(len(user)) - np.searchsorted(user, user) + 1
    discounts = 1 / np.log2(np.arange(max(lists.shape[1], lengths.max(initial=0))) + 2)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    gains = {
        "count": np.ones(len(user)),
        "dcg": discounts[place],
        "ap": found / (place + 1),
        "rr": (found == 1) / (place + 1),
    }
    made: dict[str, np.ndarray] = {}
    for k in ks:
        within = place < k
        sums = {name: np.bincount(user[within], gain[within], minlength=len(lists)) for name, gain in gains.items()}
        most = np.minimum(lengths, k)
        made |= {
            f"recall@{k}": _shares(sums["count"], most),
            f"precision@{k}": _shares(sums["count"], np.where(lengths > 0, k, 0)),
            f"ndcg@{k}": _shares(sums["dcg"], ideal[most]),
            f"map@{k}": _shares(sums["ap"], most),
            f"hit@{k}": _shares(sums["count"] > 0, lengths > 0),
            f"mrr@{k}": _shares(sums["rr"], lengths > 0),
        }
    return made


def _hits(lists: np.ndarray, relevant: Histories) -> tuple[np.ndarray, np.ndarray]:
    """The user and the place in its list of each hit, in order."""
    rows = max(1, CELLS // (relevant.count + 1))
    # The column after the last item is never marked: it is where -1 points.
    marks = np.zeros((min(rows, len(lists)), relevant.count + 1), bool)
    users, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first in range(0, len(lists), rows):
        here = lists[first : first + rows]
        played = relevant.within(first, first + len(here))
        marked = played.users, played.items
        marks[marked] = True
        user, place = np.nonzero(np.take_along_axis(marks[: len(here)], here, axis=1))
        marks[marked] = False
        users.append(user + first)
        places.append(place)
    return np.concatenate(users), np.concatenate(places)


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Parts of wholes, NaN where there is no whole."""
    return np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
