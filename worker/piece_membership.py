"""How well one can tell by a composer's likelihoods which pieces it has learned from: the loss is nats a token."""

from collections.abc import Sequence

import numpy as np

from worker import membership
from worker.desk import Desk
from worker.kinds.generation import data, metrics
from worker.kinds.generation.data import Item, Prepared
from worker.membership import Json, Losses
from worker.sequences.artifacts import SequenceModel

# Of either side: each is read whole, as it is written and with nothing told of it.
PIECES_AT_MOST = 1000


def report(desk: Desk, learned: SequenceModel, prepared: Prepared, *, window: int) -> Json:
    """The report of a model that has learned from `prepared.train`; the others are what it was stopped by."""
    if not prepared.validation:
        return membership.unmeasured(membership.NOTHING_HELD_OUT)
    random = np.random.default_rng(prepared.seed)
    members, others = (
        _losses(desk, learned, prepared, _some(items, random), window)
        for items in (prepared.train, prepared.validation)
    )
    figures = membership.compare(members, others, seed=prepared.seed, check=desk.check)
    return {**figures, "unit": "piece", "non_members": "validation"}


def _some(items: Sequence[Item], random: np.random.Generator) -> list[Item]:
    if len(items) <= PIECES_AT_MOST:
        return list(items)
    return [items[place] for place in np.sort(random.permutation(len(items))[:PIECES_AT_MOST])]


def _losses(desk: Desk, learned: SequenceModel, prepared: Prepared, items: Sequence[Item], window: int) -> Losses:
    desk.check()
    steps = data.steps_of(prepared.coding, items, is_told=False)
    foretold = metrics.foretell(learned.network, learned.weights, steps, window=window)
    values = np.array([each.losses.mean(dtype=np.float64) for each in foretold])
    # The same music in another key is drawn again with it.
    return Losses(values, np.array([item.family for item in items]))
