"""Implausible counts: more than a day holds, or far beyond everybody else."""

from typing import Any

import numpy as np
import pytest

from worker.interactions.bots import bots
from worker.interactions.stored import Interactions, empty_catalogue


def interactions(user: Any, item: Any, *, weight: Any = None, time: Any = None) -> Interactions:
    user, item = np.asarray(user, np.int32), np.asarray(item, np.int32)
    time = None if time is None else np.asarray(time, np.float64)
    order = np.lexsort((item, time, user)) if time is not None else np.lexsort((item, user))
    weight = np.ones(len(user)) if weight is None else np.asarray(weight, np.float64)
    items = int(item.max()) + 1
    return Interactions(
        [f"u{place:04d}" for place in range(int(user.max()) + 1)], [f"i{place:06d}" for place in range(items)],
        user[order], item[order], weight[order], None if time is None else time[order], None, empty_catalogue(items),
    )  # fmt: skip


@pytest.mark.parametrize(("events", "found"), [(2_880, []), (2_881, [1])])
def test_more_events_than_a_day_holds(events: int, found: list[int]) -> None:
    user = [0] * 10 + [1] * events
    time = [*range(10), *np.linspace(0, 86_399, events)]

    assert bots(interactions(user, [0] * len(user), time=time)).tolist() == found


def test_many_events_over_many_days_are_a_listener() -> None:
    time = np.arange(100_000) * 60.0

    assert bots(interactions(np.zeros(100_000), np.zeros(100_000), time=time)).tolist() == []


def test_a_day_is_not_shared_by_two_users() -> None:
    user = np.repeat([0, 1], 2_000)

    assert bots(interactions(user, np.zeros(4_000), time=np.tile(np.arange(2_000), 2))).tolist() == []


@pytest.mark.parametrize(("items", "found"), [(1_000, []), (1_001, [300])])
def test_without_times_twenty_times_the_items_of_others(items: int, found: list[int]) -> None:
    user = [*np.repeat(np.arange(300), 5), *[300] * items]
    item = [*np.tile(np.arange(5), 300), *range(items)]

    assert bots(interactions(user, item)).tolist() == found


def test_where_everybody_has_many_items_nobody_is_a_bot() -> None:
    user, item = np.repeat(np.arange(20), 1_500), np.tile(np.arange(1_500), 20)

    assert bots(interactions(user, item)).tolist() == []


@pytest.mark.parametrize(("weight", "found"), [(1e6, []), (1e6 + 1, [2_000])])
def test_without_times_a_hundred_times_the_weight_of_others(weight: float, found: list[int]) -> None:
    user = np.arange(2_001)

    assert bots(interactions(user, np.zeros(2_001), weight=[*[10.0] * 2_000, weight])).tolist() == found


@pytest.mark.parametrize("users", [2, 10, 50, 300, 900, 980, 1_000])
def test_one_bot_among_few_users_is_no_measure_of_itself(users: int) -> None:
    others = np.repeat(np.arange(users - 1), 3)
    item = np.concatenate([np.tile(np.arange(3), users - 1), np.arange(20_000)])
    by_weight = interactions(np.arange(users), np.zeros(users), weight=[*[10.0] * (users - 1), 1e9])

    assert bots(interactions([*others, *[users - 1] * 20_000], item)).tolist() == [users - 1]
    assert bots(by_weight).tolist() == [users - 1]


def test_two_bots_among_fifty_do_not_hide_each_other() -> None:
    weight = [*[10.0] * 48, 1e8, 1e9]

    assert bots(interactions(np.arange(50), np.zeros(50), weight=weight)).tolist() == [48, 49]


def test_who_is_alone_is_compared_with_nobody() -> None:
    assert bots(interactions(np.zeros(5_000), np.arange(5_000), weight=np.full(5_000, 1e6))).tolist() == []


def test_a_million_events_of_one_user() -> None:
    user = np.concatenate([np.zeros(1_000_000), [1, 2]])
    time = np.concatenate([np.arange(1_000_000), [0, 0]])

    assert bots(interactions(user, np.zeros(len(user)), time=time)).tolist() == [0]


def test_of_nothing_nobody() -> None:
    none = np.empty(0, np.int32)

    assert bots(Interactions([], [], none, none, np.empty(0), None, None, empty_catalogue(0))).tolist() == []
