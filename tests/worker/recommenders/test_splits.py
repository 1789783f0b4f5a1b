"""Divisions of plays, on a handful of events that can be followed by eye."""

import numpy as np
import pyarrow as pa
import pytest

from tests.worker import plays as made_plays
from worker.interactions.stored import Interactions
from worker.recommenders import splits
from worker.recommenders.histories import Histories


def plays_of(events: list[tuple[int, int, float]], *, users: int, items: int, time: bool = True) -> Interactions:
    """Events (user, item, moment), each of weight 1."""
    user, item, moment = (np.array(each) for each in zip(*sorted(events), strict=True))
    return Interactions(
        [f"u{place}" for place in range(users)], [f"i{place}" for place in range(items)], user.astype(np.int32),
        item.astype(np.int32), np.ones(len(user)), moment.astype(float) if time else None, None,
        pa.table({"": pa.nulls(items)}).select([]),
    )  # fmt: skip


def pairs(histories: Histories) -> set[tuple[int, int]]:
    return set(zip(histories.users.tolist(), histories.items.tolist(), strict=True))


def test_time_cuts_for_all_at_the_same_moments() -> None:
    # Ten events at moments 0 to 9 of two listeners by turns: learned from 0 to 6, chosen by 6 and 7, judged on 8 and 9.
    plays = plays_of([(moment % 2, moment, moment) for moment in range(10)], users=2, items=10)

    split = splits.divide(plays, "time", seed=0)
    assert pairs(split.validation.train) == {(m % 2, m) for m in range(6)}
    assert pairs(split.validation.hidden) == {(0, 6), (1, 7)}
    assert pairs(split.test.train) == {(m % 2, m) for m in range(8)}
    assert pairs(split.test.hidden) == {(0, 8), (1, 9)}
    assert split.cuts is not None
    assert 5 < split.cuts[0] < 6
    assert 7 < split.cuts[1] < 8


def test_what_is_heard_again_later_is_not_to_be_found() -> None:
    plays = plays_of([(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 0, 9), (0, 4, 9)], users=1, items=5)

    assert pairs(splits.divide(plays, "time", seed=0).test.hidden) == {(0, 4)}


def test_the_last_of_each_listener_is_judged_on_and_the_one_before_chosen_by() -> None:
    plays = plays_of([(0, 0, 5), (0, 1, 6), (0, 2, 7), (0, 3, 8), (1, 0, 1), (1, 1, 2)], users=2, items=4)

    split = splits.divide(plays, "last", seed=0)
    assert pairs(split.test.hidden) == {(0, 3)}
    assert pairs(split.validation.hidden) == {(0, 2)}
    # Of one with two items nothing is taken.
    assert pairs(split.validation.train) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert split.test.users.tolist() == [0]


def test_of_strangers_nothing_is_learned() -> None:
    plays = made_plays.interactions(made_plays.make(50, 60, seed=1))

    split = splits.divide(plays, "user", seed=3)
    for task, others in ((split.validation, split.test), (split.test, split.validation)):
        assert not task.train.lengths[task.users].any()
        assert len(set(task.users.tolist()) & set(others.users.tolist())) == 0
        assert (task.given.lengths > 0).all()
        assert (task.hidden.lengths > 0).all()
        assert not pairs(task.given) & pairs(task.hidden)
    # Those that the model is chosen by, it may learn from when it is judged.
    assert split.test.train.lengths[split.validation.users].all()
    assert len(split.test.users) == pytest.approx(10, abs=1)


def test_a_part_of_each_listeners_items_is_drawn() -> None:
    plays = made_plays.interactions(made_plays.make(50, 60, seed=1), time=False)
    whole = splits.everything(plays)

    split = splits.divide(plays, "random", seed=3)
    hidden, given = split.test.hidden, split.test.given
    assert hidden.lengths == pytest.approx(0.2 * whole.lengths[split.test.users], abs=0.51)
    assert (hidden.lengths + given.lengths == whole.lengths[split.test.users]).all()
    chosen_by = split.validation.hidden.lengths.sum() / whole.lengths.sum()
    assert chosen_by == pytest.approx(0.16, abs=0.02)


@pytest.mark.parametrize("way", ["time", "user", "last", "random"])
def test_nothing_that_is_to_be_found_is_known_before(way: splits.Way) -> None:
    plays = made_plays.interactions(made_plays.make(60, 80, seed=2))

    split = splits.divide(plays, way, seed=1)
    for task in (split.validation, split.test):
        known = {(int(task.users[row]), item) for row, item in pairs(task.given)} | pairs(task.train)
        hidden = {(int(task.users[row]), item) for row, item in pairs(task.hidden)}
        assert hidden
        assert not known & hidden
    judged_on = {(int(split.test.users[row]), item) for row, item in pairs(split.test.hidden)}
    assert not judged_on & pairs(split.validation.train)
    assert not judged_on & {(int(split.validation.users[r]), item) for r, item in pairs(split.validation.hidden)}


def test_the_same_seed_draws_the_same() -> None:
    plays = made_plays.interactions(made_plays.make(60, 80, seed=2), time=False)

    first, again, other = (splits.divide(plays, "user", seed=seed).test for seed in (1, 1, 2))
    assert first.users.tolist() == again.users.tolist() != other.users.tolist()
    assert pairs(first.hidden) == pairs(again.hidden)


def test_one_listener_leaves_nobody_to_judge() -> None:
    plays = plays_of([(0, 0, 0)], users=1, items=1)

    for way in ("time", "user", "last", "random"):
        assert len(splits.divide(plays, way, seed=0).test.users) == 0
