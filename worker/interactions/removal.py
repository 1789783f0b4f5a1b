"""A dataset's interactions without one user."""

from dataclasses import replace

import numpy as np

from worker.interactions.stored import Interactions, take
from worker.tables import Texts


def remove(interactions: Interactions, user: int) -> Interactions:
    """Without the user at this place; an item that nobody else has played stays only if the item table has it."""
    is_kept = interactions.user != user
    stays = np.zeros(len(interactions.items), bool) if interactions.listed is None else interactions.listed.copy()
    stays[interactions.item[is_kept]] = True
    items, places = np.flatnonzero(stays), np.cumsum(stays) - 1
    users = interactions.user[is_kept]
    context = interactions.context
    return replace(
        interactions,
        users=[name for place, name in enumerate(interactions.users) if place != user],
        items=[interactions.items[place] for place in items],
        user=np.where(users > user, users - 1, users).astype(np.int32),
        item=places[interactions.item[is_kept]].astype(np.int32),
        weight=interactions.weight[is_kept],
        time=None if interactions.time is None else interactions.time[is_kept],
        context=None if context is None else _only(context, is_kept),
        catalogue=take(interactions.catalogue, items),
        listed=None if interactions.listed is None else interactions.listed[items],
    )


def _only(context: Texts, rows: np.ndarray) -> Texts:
    """The contexts of these rows; one that none of them has is forgotten, for a playlist's name may name its maker."""
    codes = context.codes[rows]
    used = np.unique(codes[codes >= 0])
    places = np.full(len(context.words) + 1, -1, np.int32)
    places[used] = np.arange(len(used))
    return Texts([context.words[place] for place in used], places[codes])
