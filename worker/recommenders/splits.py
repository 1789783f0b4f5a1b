"""What is learned from, what is chosen by, what is judged on: events divided so that nothing of later is known before.

Of the judged users a part of the history is given, and what they played after it, or beside it, is to be found.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from worker.interactions.stored import Interactions
from worker.recommenders.histories import Histories, gather

Way = Literal["time", "user", "last", "random"]
# Of the events, of the users, or of each user's items: what is judged on, and of the rest what is chosen by.
TEST, VALIDATION = 0.2, 0.2
# Of a held-out user's items so many are to be found; the others are given.
HIDDEN = 0.2
# Of one who has played fewer nothing is hidden.
LEAST_ITEMS = 5


@dataclass(frozen=True)
class Task:
    """What is learned from, and of the judged users what is given and what is to be found.

    `train` has all users of the dataset (some without a pair); `given` and `hidden` a row for each judged user.
    """

    train: Histories
    users: np.ndarray  # int64 (judged,), places of users
    given: Histories
    hidden: Histories


@dataclass(frozen=True)
class Split:
    """To choose by, and to judge on; what the first hides, the second has to learn from."""

    way: Way
    validation: Task
    test: Task
    # Where it was cut, seconds since 1970; None where it is not by time.
    cuts: tuple[float, float] | None = None


def divide(plays: Interactions, way: Way, *, seed: int) -> Split:
    """Divide the events. `time` and `last` need a time of each event."""
    if way == "user":
        return _by_user(plays, np.random.default_rng(seed))
    if way == "time":
        return _by_time(plays)
    part = _last(plays) if way == "last" else _at_random(plays, np.random.default_rng(seed))
    return Split(way, _task(plays, part == 0, part == 1), _task(plays, part <= 1, part == 2))


def after(plays: Interactions, moment: float) -> Task:
    """What was played later than a moment, from what was played up to it."""
    assert plays.time is not None
    return _task(plays, plays.time <= moment, plays.time > moment)


def everything(plays: Interactions) -> Histories:
    """All events as histories."""
    return _gather(plays, np.ones(len(plays.user), bool))


def _gather(plays: Interactions, kept: np.ndarray) -> Histories:
    return gather(
        plays.user[kept], plays.item[kept], plays.weight[kept], users=len(plays.users), items=len(plays.items)
    )


def _task(plays: Interactions, is_train: np.ndarray, is_hidden: np.ndarray) -> Task:
    """Judged are those with something to be given and something new to be found."""
    train, hidden = _gather(plays, is_train), _without(_gather(plays, is_hidden), _gather(plays, is_train))
    users = np.flatnonzero((train.lengths > 0) & (hidden.lengths > 0))
    return Task(train, users, train.take(users), hidden.take(users))


def _without(histories: Histories, known: Histories) -> Histories:
    """What is found again is no discovery: it is not asked for."""
    there = np.isin(_pairs(histories), _pairs(known))
    return histories.only(~there)


def _pairs(histories: Histories) -> np.ndarray:
    return histories.users * histories.count + histories.items


def _by_time(plays: Interactions) -> Split:
    """At two moments for all: what one learns from lies before what any is judged on."""
    assert plays.time is not None
    if not len(plays.time):
        nobody = _task(plays, np.zeros(0, bool), np.zeros(0, bool))
        return Split("time", nobody, nobody)
    first, second = np.quantile(plays.time, [(1 - TEST) * (1 - VALIDATION), 1 - TEST])
    before, middle, after = plays.time < first, (plays.time >= first) & (plays.time < second), plays.time >= second
    return Split(
        "time", _task(plays, before, middle), _task(plays, before | middle, after), (float(first), float(second))
    )


def _last(plays: Interactions) -> np.ndarray:
    """Part of each event: 2 the last new item of a user, 1 the one before, 0 all else; of users with three at least."""
    assert plays.time is not None
    pairs = plays.user.astype(np.int64) * len(plays.items) + plays.item
    found, place = np.unique(pairs, return_inverse=True)
    # An item is new when it is played first.
    begun = np.full(len(found), np.inf)
    np.minimum.at(begun, place, plays.time)
    users = found // max(1, len(plays.items))
    order = np.lexsort((found, begun, users))
    counts = np.bincount(users, minlength=len(plays.users))
    ends = np.cumsum(counts)
    # How many of the same user come after it.
    behind = np.empty(len(found), np.int64)
    behind[order] = ends[users[order]] - 1 - np.arange(len(found))
    is_long = counts[users] >= 3
    part = np.where(is_long & (behind == 0), 2, np.where(is_long & (behind == 1), 1, 0))
    return part[place]


def _at_random(plays: Interactions, random: np.random.Generator) -> np.ndarray:
    """Part of each event: of each user's items some, drawn; of a user with few none."""
    pairs = plays.user.astype(np.int64) * len(plays.items) + plays.item
    found, place = np.unique(pairs, return_inverse=True)
    users = found // max(1, len(plays.items))
    rank, counts = _drawn(users, len(plays.users), random)
    test = np.round(TEST * counts)
    validation = np.round(VALIDATION * (counts - test))
    part = np.where(rank < test[users], 2, np.where(rank < (test + validation)[users], 1, 0))
    return np.where(counts[users] >= LEAST_ITEMS, part, 0)[place]


def _drawn(users: np.ndarray, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random order within each user: the rank of each pair there, and how many pairs each user has."""
    order = np.lexsort((random.random(len(users)), users))
    counts = np.bincount(users, minlength=count)
    rank = np.empty(len(users), np.int64)
    rank[order] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank, counts


def _by_user(plays: Interactions, random: np.random.Generator) -> Split:
    """Strong generalisation (Liang et al., WWW 2018): nothing of a judged user is learned from."""
    whole = everything(plays)
    can_be_judged = np.flatnonzero(whole.lengths >= LEAST_ITEMS)
    drawn = random.permutation(can_be_judged)
    test = max(1, round(TEST * len(drawn))) if len(drawn) else 0
    validation = max(1, round(VALIDATION * (len(drawn) - test))) if len(drawn) > test else 0
    group = np.zeros(len(whole), np.int64)
    group[drawn[:test]], group[drawn[test : test + validation]] = 2, 1
    hidden = _hidden(plays, whole, random)
    validation_task, test_task = (_of_strangers(whole, group, hidden, part) for part in (1, 2))
    return Split("user", validation_task, test_task)


def _hidden(plays: Interactions, whole: Histories, random: np.random.Generator) -> np.ndarray:
    """Which pairs would be hidden of each user: those begun last where there is time, else some that are drawn."""
    users = whole.users
    if plays.time is None:
        rank, counts = _drawn(users, len(whole), random)
    else:
        begun = np.full(len(users), np.inf)
        pairs = plays.user.astype(np.int64) * len(plays.items) + plays.item
        np.minimum.at(begun, np.searchsorted(_pairs(whole), pairs), plays.time)
        order = np.lexsort((whole.items, -begun, users))
        counts = whole.lengths
        rank = np.empty(len(users), np.int64)
        rank[order] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    return _are_hidden(rank, counts, users)


def hide_drawn(histories: Histories, random: np.random.Generator) -> np.ndarray:
    """Which pairs are hidden where they are drawn: of each user a fifth, one at least; bool (pairs,)."""
    users = histories.users
    return _are_hidden(*_drawn(users, len(histories), random), users)


def _are_hidden(rank: np.ndarray, counts: np.ndarray, users: np.ndarray) -> np.ndarray:
    return rank < np.maximum(1, np.round(HIDDEN * counts))[users]


def _of_strangers(whole: Histories, group: np.ndarray, hidden: np.ndarray, part: int) -> Task:
    of_pairs = group[whole.users]
    judged = np.flatnonzero(group == part)
    return Task(whole.only(of_pairs < part), judged, whole.only(~hidden).take(judged), whole.only(hidden).take(judged))
