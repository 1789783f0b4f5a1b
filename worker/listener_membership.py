"""How well one can tell who has trained a recommender, by a copy of it (a shadow model: Shokri et al. 2017).

However plays were divided, listeners who were held out differ from those who trained by more than that. So the copy
learns, by the same settings, from all but some listeners that are drawn; of them, and of as many of the others, a part
of the history is hidden, and the loss is how far behind it is ranked. What is attacked is the way of training.
"""

from collections.abc import Callable

import numpy as np

from shared.kinds.recommendation import TrainParams
from worker import membership, model_search
from worker.desk import Desk
from worker.kinds.recommendation.data import Prepared
from worker.kinds.recommendation.model import Candidate
from worker.membership import Json, Losses
from worker.recommenders import products
from worker.recommenders.histories import Histories
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import LEAST_ITEMS, hide_drawn

ATTACK = "rank threshold against a copy that has not seen the others (Shokri et al. 2017; Yeom et al. 2018)"
# Of the listeners, so many of whom the copy does not see; and of either side at most.
UNSEEN, LISTENERS_AT_MOST = 0.2, 5000
CELLS_AT_ONCE = 2_000_000
# With more that is hidden of one listener, ordering all scores once costs less than looking through them for each.
SCANNED_AT_MOST = 10
TOO_FEW = f"fewer than ten listeners have played {LEAST_ITEMS} items: there is nobody to tell apart"


def report(desk: Desk, candidate: Candidate, known: Histories, prepared: Prepared, params: TrainParams) -> Json:
    """The report of a candidate that learns from `known`."""
    listeners = np.flatnonzero(known.lengths >= LEAST_ITEMS)
    count = min(LISTENERS_AT_MOST, int(UNSEEN * len(listeners)))
    if count < 2:
        return membership.unmeasured(TOO_FEW)
    random = np.random.default_rng(params.seed)
    drawn = random.permutation(listeners)[: 2 * count]
    unseen, seen = np.sort(drawn[:count]), np.sort(drawn[count:])
    is_unseen = np.zeros(len(known), bool)
    is_unseen[unseen] = True
    copy = model_search.fit(desk, candidate, known.only(~is_unseen[known.users]), prepared, params)
    members, others = (
        Losses(losses(copy, known.take(users), random, desk.check), np.arange(count)) for users in (seen, unseen)
    )
    figures = membership.compare(members, others, seed=params.seed, check=desk.check)
    return {**figures, "attack": ATTACK, "unit": "listener", "non_members": "listeners whom the copy has not seen"}


def losses(
    model: Recommender, histories: Histories, random: np.random.Generator, check: Callable[[], None]
) -> np.ndarray:
    """Of each listener, float64 (listeners,): the mean share of all other items that are ranked before a hidden one."""
    is_hidden = hide_drawn(histories, random)
    given, hidden = histories.only(~is_hidden), histories.only(is_hidden)
    size = max(1, CELLS_AT_ONCE // max(1, histories.count))
    found = []
    for first in range(0, len(histories), size):
        check()
        end = min(first + size, len(histories))
        with products.one_thread():
            scores = model.scores(model.read(given.within(first, end)))
        for place, row in enumerate(scores):
            found.append(_loss(row, given.of(first + place)[0], hidden.of(first + place)[0]))
    return np.array(found, np.float64)


def _loss(scores: np.ndarray, given: np.ndarray, hidden: np.ndarray) -> float:
    among, wanted = np.delete(scores, given), scores[hidden]
    if len(wanted) > SCANNED_AT_MOST:
        ordered = np.sort(among)
        first, end = (np.searchsorted(ordered, wanted, side=side) for side in ("left", "right"))
        above, equal = len(among) - end, end - first
    else:
        above = np.array([(among > score).sum() for score in wanted])
        equal = np.array([(among == score).sum() for score in wanted])
    # Equal ones, as all are that it cannot recommend, stand half before and half behind; it is one of them itself.
    return float(np.mean(above + (equal - 1) / 2) / max(1, len(among) - 1))
