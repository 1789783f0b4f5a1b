"""Lists: the largest scores, what may stand there, how many of one owner, how varied; each beside a plain sort."""

import numpy as np
import pytest

from worker.recommenders import ranking, selection
from worker.recommenders.histories import gather
from worker.recommenders.linear import Linear
from worker.recommenders.low_rank import LowRank
from worker.recommenders.ranking import Rules
from worker.recommenders.selection import NOTHING


@pytest.mark.parametrize("count", [1, 5, 63, 64, 65, 3000])
@pytest.mark.parametrize("k", [1, 7, 64, 5000])
def test_the_largest_are_those_of_a_sort(count: int, k: int) -> None:
    scores = np.random.default_rng(count).normal(size=(20, count)).astype(np.float32)
    scores[:, ::3] = -np.inf

    for row, found in zip(scores, selection.largest(scores, k), strict=True):
        finite = np.flatnonzero(np.isfinite(row))
        best = finite[np.argsort(-row[finite], kind="stable")][:k]
        assert sorted(found[found != NOTHING].tolist()) == sorted(best.tolist())


def test_of_equal_scores_the_first_are_taken() -> None:
    found = selection.largest(np.zeros((1, 500), np.float32), 3)

    assert sorted(found[0].tolist()) == [0, 1, 2]


# Scores of six items, whatever was played: 6, 5, 5, 4, 3, 2.
MATRIX = np.tile(np.array([6, 5, 5, 4, 3, 2], np.float32), (6, 1))
MODEL = Linear("ease", 6, "binary", np.arange(6, dtype=np.int32), MATRIX)
ONE = gather(np.array([0]), np.array([3]), np.ones(1), users=1, items=6)


def items_of(rules: Rules) -> list[int]:
    listed: list[int] = ranking.rank(MODEL, ONE, rules).items[0].tolist()
    return listed


def test_what_was_played_is_left_out_and_equals_stand_in_order() -> None:
    assert items_of(Rules(k=4)) == [0, 1, 2, 4]


def test_what_was_played_may_be_named_again() -> None:
    assert items_of(Rules(k=4, exclude_heard=False)) == [0, 1, 2, 3]


def test_a_list_has_no_more_than_there_is() -> None:
    assert items_of(Rules(k=8)) == [0, 1, 2, 4, 5, NOTHING, NOTHING, NOTHING]


def test_what_may_not_stand_there_takes_no_place() -> None:
    allowed = np.array([False, True, False, True, True, True])

    assert items_of(Rules(k=3, allowed=allowed)) == [1, 4, 5]


def test_one_owner_has_no_more_places_than_allowed() -> None:
    owners = np.array([7, 7, 7, 7, 8, -1], np.int32)

    assert items_of(Rules(k=4, owners=owners, per_owner=1)) == [0, 4, 5, NOTHING]


def test_nobodys_items_are_not_capped() -> None:
    owners = np.array([-1, -1, -1, 7, 7, 7], np.int32)

    assert items_of(Rules(k=5, owners=owners, per_owner=1)) == [0, 1, 2, 4, NOTHING]


def test_behind_an_owner_who_fills_the_pool_others_are_found() -> None:
    count = 2000
    scores = np.linspace(1, 0, count, dtype=np.float32)
    model = Linear("ease", count, "binary", np.arange(count, dtype=np.int32), np.tile(scores, (count, 1)))
    owners = np.where(np.arange(count) < 1500, 0, np.arange(count)).astype(np.int32)
    given = gather(np.array([0]), np.array([count - 1]), np.ones(1), users=1, items=count)

    listed = ranking.rank(model, given, Rules(k=3, owners=owners, per_owner=1)).items[0]
    assert listed.tolist() == [0, 1500, 1501]


def test_a_varied_list_has_what_is_unlike_before_what_is_alike() -> None:
    # The first three point the same way, the others elsewhere.
    vectors = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32)

    assert items_of(Rules(k=2)) == [0, 1]
    # 0 first. Then 1 has 0.5 * 0.75 - 0.5 * 1 < 0, and 4 has 0.5 * 0.25 - 0.
    assert items_of(Rules(k=2, diversity=0.5, vectors=vectors)) == [0, 4]


def test_what_is_popular_may_count_less() -> None:
    popularity = np.array([1.0, 0.9, 0.1, 0.5, 0.0, 0.0])

    # Merits 1, .75, .75, .25, 0 by score, times a half; and a half of 0, .1, .9, 1, 1.
    # 0: .5, 1: .425, 2: .825, 4: .625, 5: .5.
    assert items_of(Rules(k=5, popularity_penalty=0.5, popularity=popularity)) == [2, 4, 0, 5, 1]


def test_many_listeners_are_ranked_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(300, 300)).astype(np.float32)
    model = Linear("ease", 300, "log", np.arange(300, dtype=np.int32), matrix)
    user, item = random.integers(0, 40, 400), random.integers(0, 300, 400)
    given = gather(user, item, random.random(400) + 1, users=40, items=300)
    monkeypatch.setattr(ranking, "USERS_AT_ONCE", 7)

    together = ranking.rank(model, given, Rules(k=10))
    for place in range(40):
        alone = ranking.rank(model, given.within(place, place + 1), Rules(k=10))
        assert (alone.items[0] == together.items[place]).all()
        assert (alone.scores[0] == together.scores[place]).all()


def test_nobody_has_no_list() -> None:
    nobody = gather(np.array([], int), np.array([], int), np.array([]), users=0, items=6)

    assert ranking.rank(MODEL, nobody, Rules(k=4)).items.shape == (0, 4)


def test_with_slack_all_that_is_near_the_edge_is_taken() -> None:
    scores = np.array([[5.0, 4.0, 3.95, 3.0, -np.inf, 4.0]], np.float32)

    near = selection.largest(scores, 2, np.array([0.1], np.float32))
    assert sorted(near[near != NOTHING].tolist()) == [0, 1, 2, 5]
    short = selection.largest(scores, 6, np.array([0.1], np.float32))
    assert sorted(short[short != NOTHING].tolist()) == [0, 1, 2, 3, 5]


def test_thousands_that_are_alike_stand_in_order_whoever_stands_beside() -> None:
    random = np.random.default_rng(0)
    kinds = random.normal(size=(8, 64)).astype(np.float32)
    # Eight vectors, each of a thousand new items, by turns.
    vectors = np.tile(kinds, (1000, 1))
    model = LowRank("ease", "binary", vectors, vectors, np.empty(0, np.int32))
    user, item = random.integers(0, 150, 900), random.integers(0, 8000, 900)
    given = gather(user, item, np.ones(900), users=150, items=8000)
    for rules in (Rules(k=20), Rules(k=100, diversity=0.3, vectors=vectors / 8)):
        together = ranking.rank(model, given, rules)

        for place in range(0, 150, 3):
            alone = ranking.rank(model, given.within(place, place + 1), rules)
            assert (alone.items[0] == together.items[place]).all()
        if rules.is_plain:
            rows = together.items[:, 0] % 8
            assert ((together.items % 8) == rows[:, None]).all()
            assert (np.diff(together.items, axis=1) > 0).all()


def test_of_an_owner_the_best_are_chosen_among() -> None:
    vectors = np.eye(6, dtype=np.float32)
    owners = np.array([7, 7, 7, 8, 8, 8], np.int32)

    # Scores 6, 5, 5, heard, 3, 2: of the first owner the item 0, of the other the item 4.
    assert items_of(Rules(k=3, owners=owners, per_owner=1, diversity=0.2, vectors=vectors)) == [0, 4, NOTHING]
