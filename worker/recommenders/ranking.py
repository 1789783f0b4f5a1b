"""From scores to lists: what may stand there, how many by one artist, how varied, and in which order.

A job over all listeners and an answer to one of them come through here alike, and to the same list.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from worker import cores
from worker.recommenders import products, selection
from worker.recommenders.histories import Histories
from worker.recommenders.recommender import Recommender
from worker.recommenders.selection import NOTHING

# Listeners at a time: 256 of a catalogue of 20,000 items. Their scores are 20 MB; of 80 MB, which leave every cache,
# each takes half as long again. With few a product of matrices is as slow as one by one.
CELLS_AT_ONCE, USERS_AT_LEAST, USERS_AT_ONCE = 5_120_000, 16, 1024
THREADS_AT_MOST = 8
# Of what stands near the edge so many at a time are looked at closely.
REFINED_AT_ONCE = 1024
# From so many times as many as are wanted a list is chosen that is to be varied.
POOL, LEAST_POOL, GROWTH = 5, 200, 4
# A score counts to so many digits: what differs by less is as good, and stands in the order of the catalogue.
DIGITS = 6
# What is multiplied with to have so many digits before the point, from 10 ** LEAST_POWER, nothing in float32, on.
LEAST_POWER, MOST_POWER = -60, 308
SCALES = 10.0 ** (DIGITS - 1 - np.arange(LEAST_POWER, MOST_POWER + 1))


@dataclass(frozen=True)
class Rules:
    """What a list is to be like; arrays have an entry for each item of the catalogue."""

    k: int
    exclude_heard: bool = True
    # What may stand in a list at all, bool; None: everything.
    allowed: np.ndarray | None = None
    # At most so many of one owner, such as an artist; -1 is nobody's.
    owners: np.ndarray | None = None
    per_owner: int = 0
    # 0 is by score alone, 1 is as unlike each other as may be; and how what is like what is known, unit vectors.
    diversity: float = 0.0
    vectors: np.ndarray | None = None
    # 0 is by score alone, 1 puts what is rare first; and how popular each is, 0 to 1.
    popularity_penalty: float = 0.0
    popularity: np.ndarray | None = None
    # What the filters name and no item has: columns and labels.
    unknown_labels: tuple[tuple[str, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        return not (self.per_owner or self.diversity or self.popularity_penalty)

    @cached_property
    def bars(self) -> np.ndarray:
        """-inf of what may not stand in a list, else 0: to add it takes a twentieth of the time of a choice by bool."""
        assert self.allowed is not None
        return np.where(self.allowed, np.float32(0), np.float32(-np.inf))


@dataclass(frozen=True)
class Lists:
    """Places of items by rank, int64 (users, k), -1 where there is none further; their scores, float32."""

    items: np.ndarray
    scores: np.ndarray


def rank(model: Recommender, given: Histories, rules: Rules, check: Callable[[], Any] = lambda: None) -> Lists:
    """The lists of all users of `given`. `check` is called between, and may raise."""
    parts = []
    with closing(_ranked(model, given, rules)) as ranked:
        for part in ranked:
            parts.append(part)
            check()
    if not parts:
        return Lists(np.empty((0, rules.k), np.int64), np.empty((0, rules.k), np.float32))
    return Lists(np.concatenate([part.items for part in parts]), np.concatenate([part.scores for part in parts]))


def _ranked(model: Recommender, given: Histories, rules: Rules) -> Generator[Lists, None, None]:
    """The lists of one block after the other, made side by side."""
    blocks = list(_blocks(given))
    with products.one_thread():
        if len(blocks) <= 1:
            yield from (_rank(model, block, rules) for block in blocks)
            return
        with ThreadPoolExecutor(min(THREADS_AT_MOST, cores.count()), thread_name_prefix="ranker") as pool:
            try:
                yield from pool.map(lambda block: _rank(model, block, rules), blocks)
            finally:
                pool.shutdown(cancel_futures=True)


def _blocks(given: Histories) -> Iterator[Histories]:
    size = min(USERS_AT_ONCE, max(USERS_AT_LEAST, CELLS_AT_ONCE // max(1, given.count)))
    for first in range(0, len(given), size):
        yield given.within(first, min(len(given), first + size))


def _rank(model: Recommender, given: Histories, rules: Rules) -> Lists:
    users = model.read(given)
    scores = model.scores(users)
    if rules.allowed is not None:
        scores += rules.bars
    if rules.exclude_heard:
        scores[given.users, given.items] = -np.inf
    wanted = rules.k if rules.is_plain else max(LEAST_POOL, POOL * rules.k)
    pool = _pool(model, users, scores, wanted)
    if rules.is_plain:
        return _padded(pool, rules.k)
    return _padded(_arranged(model, users, scores, pool, rules), rules.k)


def _pool(model: Recommender, users: Any, scores: np.ndarray, size: int) -> Lists:
    """The best of each user, in order; as many as are asked for, or as there are.

    Looked at closely is all that rounding may have moved across the edge: of new items with the same labels, which have
    the same score, that may be thousands.
    """
    chosen = selection.largest(scores, size, model.slack(users))
    is_there = chosen != NOTHING
    near, columns = np.where(is_there, chosen, 0), range(0, max(1, chosen.shape[1]), REFINED_AT_ONCE)
    exact = [model.refine(users, scores, near[:, start : start + REFINED_AT_ONCE]) for start in columns]
    values = _rounded(np.concatenate(exact, axis=1))
    found = selection.keys(np.where(is_there, values, np.float32(-np.inf)), np.where(is_there, chosen, scores.shape[1]))
    found.sort(axis=1)
    values = selection.values(found[:, :size])
    return Lists(np.where(np.isfinite(values), selection.places(found[:, :size]), NOTHING), values)


def _rounded(values: np.ndarray) -> np.ndarray:
    """To so many significant digits, float32."""
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.floor(np.log10(np.abs(values.astype(np.float64))))
        power = np.where(np.isfinite(power), np.maximum(power, LEAST_POWER), 0)
        scale = SCALES[power.astype(np.int64) - LEAST_POWER]
        rounded = np.round(values * scale) / scale
    return np.where(np.isfinite(rounded), rounded, values).astype(np.float32)


def _padded(lists: Lists, k: int) -> Lists:
    items, scores = lists.items[:, :k], lists.scores[:, :k]
    short = k - items.shape[1]
    if short <= 0:
        return Lists(items, scores)
    wide = ((0, 0), (0, short))
    return Lists(
        np.pad(items, wide, constant_values=NOTHING), np.pad(scores, wide, constant_values=np.float32(-np.inf))
    )


def _arranged(model: Recommender, users: Any, scores: np.ndarray, pool: Lists, rules: Rules) -> Lists:
    """Lists in which the rules about others hold as well, chosen one by one from the pool of each user."""
    items = np.full((len(pool.items), rules.k), NOTHING, np.int64)
    values = np.full((len(pool.items), rules.k), -np.inf, np.float32)
    for row in range(len(items)):
        theirs = Lists(pool.items[row : row + 1], pool.scores[row : row + 1])
        if rules.per_owner:
            theirs = _capped(model, users[row : row + 1], scores[row : row + 1], theirs, rules)
        found = _choose(theirs, rules)
        items[row, : len(found)], values[row, : len(found)] = theirs.items[0, found], theirs.scores[0, found]
    return Lists(items, values)


def _capped(model: Recommender, user: Any, scores: np.ndarray, pool: Lists, rules: Rules) -> Lists:
    """Of each owner the best, as many as a list may have; from so long a pool that it is no shorter for it."""
    wanted = pool.items.shape[1]
    while True:
        kept = _best_of_owners(pool.items[0], rules)
        # Where one artist fills the pool, others stand behind it.
        if np.count_nonzero(kept) >= wanted or pool.items[0, -1] == NOTHING:
            return Lists(pool.items[:, kept][:, :wanted], pool.scores[:, kept][:, :wanted])
        size = min(scores.shape[1] + 1, pool.items.shape[1] * GROWTH)
        pool = _padded(_pool(model, user, scores, size), size)


def _best_of_owners(items: np.ndarray, rules: Rules) -> np.ndarray:
    """Which of a pool are among the best of their owner, or nobody's, bool."""
    assert rules.owners is not None
    owners = np.where(items == NOTHING, NOTHING, rules.owners[items])
    order = np.argsort(owners, kind="stable")
    rank = np.empty(len(items), np.int64)
    rank[order] = np.arange(len(items)) - np.searchsorted(owners[order], owners[order])
    kept: np.ndarray = (items != NOTHING) & ((owners < 0) | (rank < rules.per_owner))
    return kept


def _choose(pool: Lists, rules: Rules) -> list[int]:
    """The places in one user's pool of what is chosen from it.

    Greedily by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
    """
    items = pool.items[0, pool.items[0] != NOTHING]
    merit = _merit(items, pool.scores[0, : len(items)], rules)
    if not rules.diversity or rules.vectors is None:
        return [int(place) for place in np.argsort(-merit, kind="stable")[: rules.k]]
    vectors, value = rules.vectors[items], (1 - rules.diversity) * merit
    alike, chosen = np.zeros(len(items)), list[int]()
    for _ in range(min(rules.k, len(items))):
        place = int(np.argmax(value - rules.diversity * alike))
        chosen.append(place)
        value[place] = -np.inf
        alike = np.maximum(alike, vectors @ vectors[place])
    return chosen


def _merit(items: np.ndarray, scores: np.ndarray, rules: Rules) -> np.ndarray:
    """Scores between 0 and 1 within the pool, less for what is popular where that is asked."""
    wide = scores.astype(np.float64)
    low, high = (wide.min(), wide.max()) if len(wide) else (0.0, 0.0)
    merit = (wide - low) / (high - low) if high > low else np.ones(len(wide))
    if rules.popularity_penalty and rules.popularity is not None:
        merit = (1 - rules.popularity_penalty) * merit + rules.popularity_penalty * (1 - rules.popularity[items])
    return merit
