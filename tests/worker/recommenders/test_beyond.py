"""What lists are like beyond their hits is what pencil and paper find on small ones, and loops on random ones."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import entropy

from worker.recommenders import beyond, histories
from worker.recommenders.histories import Histories


def played(*rows: dict[int, float], count: int) -> Histories:
    """A user a dictionary of items and weights."""
    user = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    item = np.array([item for row in rows for item in row], np.int64)
    weight = np.array([weight for row in rows for weight in row.values()])
    return histories.gather(user, item, weight, users=len(rows), items=count)


def lists_of(*rows: Sequence[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def labels_of(*rows: Sequence[float]) -> Any:  # Any: a sparse matrix
    return sparse.csr_matrix(np.array(rows, np.float64))


def random_lists(users: int, items: int, places: int) -> np.ndarray:
    random = np.random.default_rng(1)
    lists = np.array([random.permutation(items)[:places] for _ in range(users)], np.int32)
    for row, end in zip(lists, random.integers(0, places + 1, users), strict=True):
        row[end:] = -1
    return lists


def test_coverage_is_the_share_of_items_in_any_list() -> None:
    assert beyond.coverage(lists_of([0, 1], [1, 3], [1, -1]), 4) == 3 / 4
    assert beyond.coverage(lists_of([0]), 1) == 1


def test_coverage_of_empty_lists_is_0_and_of_no_catalogue_nothing() -> None:
    assert beyond.coverage(lists_of([-1, -1]), 4) == 0
    assert beyond.coverage(np.zeros((0, 5), np.int32), 4) == 0
    assert beyond.coverage(lists_of([-1]), 0) is None


def test_gini_is_0_where_all_are_recommended_as_often_and_1_where_one_always_is() -> None:
    assert beyond.gini(lists_of([0, 1], [2, 3]), 4) == 0
    assert beyond.gini(lists_of([2], [2], [2]), 4) == 1


def test_gini_of_unlike_counts() -> None:
    # Item 0 once, item 1 three times. Over pairs of items: |1 - 3| / (2 - 1) / (1 + 3) = 1/2.
    assert beyond.gini(lists_of([0, 1], [1, -1], [1, -1]), 2) == 1 / 2
    # 0, 1, 2 and 3 times: differences 1 + 2 + 3 + 1 + 2 + 1 = 10, over (4 - 1) * 6.
    assert beyond.gini(lists_of([3, 2, 1], [3, 2, -1], [3, -1, -1]), 4) == pytest.approx(10 / 18, rel=1e-12)


def test_gini_of_one_item_is_0_and_of_nothing_recommended_nothing() -> None:
    assert beyond.gini(lists_of([0], [0]), 1) == 0
    assert beyond.gini(lists_of([-1], [-1]), 3) is None
    assert beyond.gini(np.zeros((0, 5), np.int32), 0) is None


def test_novelty_is_bits_of_surprise() -> None:
    listeners = np.array([8, 4, 1])

    # Of 8 users: log2 1, 2 and 8 are 0, 1 and 3 bits. Lists of 0 and 1, and of 2: the mean of 1/2 and 3.
    assert beyond.novelty(lists_of([0, 1], [2, -1], [-1, -1]), listeners, 8) == 1.75


def test_novelty_of_an_item_that_nobody_has_played_is_that_of_one_listener() -> None:
    assert beyond.novelty(lists_of([0]), np.array([0, 8]), 8) == 3


def test_novelty_of_nothing_is_nothing() -> None:
    assert beyond.novelty(lists_of([-1, -1]), np.array([1, 2]), 2) is None
    assert beyond.novelty(np.zeros((0, 3), np.int32), np.array([1, 2]), 0) is None
    assert beyond.novelty(lists_of([-1]), np.zeros(0, np.int64), 1) is None


def test_popularity_is_told_by_decile_the_most_played_first() -> None:
    # Twenty items, the last played most: 19 and 18 are the first decile, 1 and 0 the last.
    listeners = np.arange(20)

    told = beyond.popularity(lists_of([19, 18, 17], [19, 0, -1]), listeners)

    assert told["recommended"] == [3 / 5, 1 / 5, 0, 0, 0, 0, 0, 0, 0, 1 / 5]
    # 19 + 18 of 190 pairs, 17 + 16, and so on.
    assert told["played"] == pytest.approx([(37 - 4 * decile) / 190 for decile in range(10)], rel=1e-12)


def test_items_played_as_often_stand_in_their_order() -> None:
    told = beyond.popularity(lists_of([0, 9]), np.ones(10, np.int64))

    assert told["recommended"] == [1 / 2, 0, 0, 0, 0, 0, 0, 0, 0, 1 / 2]


def test_a_catalogue_of_one_item_is_all_first_decile() -> None:
    told = beyond.popularity(lists_of([0]), np.array([3]))

    assert told == {"recommended": [1, *[0] * 9], "played": [1, *[0] * 9]}


def test_popularity_of_nothing_is_nothing() -> None:
    assert beyond.popularity(lists_of([-1]), np.zeros(4, np.int64)) == {"recommended": None, "played": None}
    assert beyond.popularity(np.zeros((0, 2), np.int32), np.zeros(0, np.int64)) == {
        "recommended": None,
        "played": None,
    }


def test_diversity_is_one_less_the_cosine_of_pairs() -> None:
    vectors = np.array([[1, 0], [0, 2], [3, 3], [0, 0]], np.float32)

    # 0 and 1 are at right angles: 1. With 2 between them: 1 - (0 + 2 * 0.70711) / 3 = 0.528596.
    assert beyond.diversity(lists_of([0, 1, -1]), vectors) == 1
    assert beyond.diversity(lists_of([0, 1, 2]), vectors) == pytest.approx(0.528595, abs=1e-6)
    # Unknown items and lists of one known item say nothing.
    assert beyond.diversity(lists_of([0, 3, 1], [2, 3, -1], [-1, -1, -1]), vectors) == 1


def test_diversity_of_items_that_are_alike_is_0_and_of_opposites_2() -> None:
    vectors = np.array([[0.1, 0.7], [0.2, 1.4], [-0.1, -0.7]], np.float32)

    assert beyond.diversity(lists_of([0, 1]), vectors) == pytest.approx(0, abs=1e-12)
    assert beyond.diversity(lists_of([1, 2]), vectors) == pytest.approx(2, abs=1e-12)


def test_diversity_of_nothing_is_nothing() -> None:
    assert beyond.diversity(lists_of([0, -1]), np.ones((1, 3), np.float32)) is None
    assert beyond.diversity(lists_of([0, 1]), np.zeros((2, 3), np.float32)) is None
    assert beyond.diversity(np.zeros((0, 4), np.int32), np.zeros((0, 3), np.float32)) is None


@pytest.mark.parametrize("at_once", [7, 8192])
def test_diversity_of_random_lists_is_that_of_a_loop(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    vectors = np.random.default_rng(2).normal(size=(40, 5)).astype(np.float32)
    vectors[::6] = 0
    lists = random_lists(60, 40, 9)
    expected = []
    for row in lists:
        known = [vectors[i].astype(np.float64) for i in row if i >= 0 and vectors[i].any()]
        pairs = [(a, b) for place, a in enumerate(known) for b in known[:place]]
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
        expected += [1 - np.mean(cosines)] if pairs else []

    monkeypatch.setattr(beyond, "USERS_AT_ONCE", at_once)

    assert beyond.diversity(lists, vectors) == pytest.approx(np.mean(expected), rel=1e-9)


def test_calibration_of_a_list_that_lacks_a_genre() -> None:
    labels = labels_of([1, 0], [0, 1], [1, 0])
    history = played({0: 3, 1: 1}, count=3)

    # Taste 3/4 and 1/4; shown 1 and 0, with a hundredth of the taste 0.9975 and 0.0025:
    # 3/4 ln(0.75 / 0.9975) + 1/4 ln 100 = -0.213884 + 1.151293.
    assert beyond.calibration(lists_of([0, 2]), history, labels) == pytest.approx(0.937408, abs=1e-6)


def test_calibration_is_0_where_genres_are_shown_as_they_are_played() -> None:
    # Item 2 is of both genres by halves: taste 1/2 and 1/2, shown the same.
    labels = labels_of([1, 0], [0, 1], [5, 5])

    assert beyond.calibration(lists_of([2, -1]), played({0: 2, 1: 2}, count=3), labels) == pytest.approx(0, abs=1e-12)


def test_genres_that_were_never_played_cost_only_what_they_take() -> None:
    labels = labels_of([1, 0], [0, 1])

    # Taste 1 and 0; shown 1/2 and 1/2: ln(1 / (0.99 / 2 + 0.01)) = -ln 0.505.
    told = beyond.calibration(lists_of([0, 1]), played({0: 1}, count=2), labels)

    assert told == pytest.approx(-math.log(0.505), rel=1e-12)


def test_listeners_and_lists_without_genres_are_not_judged() -> None:
    labels = labels_of([1, 0], [0, 1], [0, 0])
    history = played({0: 1, 2: 9}, {2: 1}, {}, {0: 1}, {0: 1}, count=3)

    # Only the first has played a genre and is shown one; items without a genre count for nothing: ln 100.
    told = beyond.calibration(lists_of([1, 2], [0, 1], [0, 1], [2, -1], [-1, -1]), history, labels)

    assert told == pytest.approx(math.log(100), rel=1e-12)


def test_calibration_of_nothing_is_nothing() -> None:
    assert beyond.calibration(lists_of([0]), played({0: 1}, count=1), labels_of([0])) is None
    assert beyond.calibration(np.zeros((0, 3), np.int32), played(count=2), labels_of([1], [1])) is None
    assert beyond.calibration(lists_of([0]), played({0: 1}, count=1), labels_of([1])) == 0


@pytest.mark.parametrize("at_once", [7, 8192])
def test_calibration_of_random_lists_is_scipys_entropy(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    random = np.random.default_rng(3)
    genres = random.random((30, 6)) * (random.random((30, 6)) < 0.3)
    shares = genres / np.maximum(genres.sum(axis=1, keepdims=True), 1e-9)
    rows = [{int(i): float(random.integers(1, 9)) for i in random.permutation(30)[:4]} for _ in range(50)]
    lists = random_lists(50, 30, 6)
    expected = []
    for row, given in zip(rows, lists, strict=True):
        taste, shown = sum(weight * shares[i] for i, weight in row.items()), shares[given[given >= 0]].sum(axis=0)
        if taste.sum() > 0 and shown.sum() > 0:
            taste, shown = taste / taste.sum(), shown / shown.sum()
            expected.append(entropy(taste, 0.99 * shown + 0.01 * taste))

    monkeypatch.setattr(beyond, "USERS_AT_ONCE", at_once)
    told = beyond.calibration(lists, played(*rows, count=30), sparse.csr_matrix(genres))

    assert told == pytest.approx(np.mean(expected), rel=1e-9)


def test_shares_are_of_places_whose_owner_is_known() -> None:
    owners = np.array([0, 0, 1, 2, -1])

    told = beyond.shares(lists_of([0, 1, 2], [0, 4, -1], [1, 3, -1]), owners, ["A", "B", "C", "D"])

    # Items 0, 1, 0 and 1 are A's, 2 is B's, 3 is C's, 4 nobody's: seven places, six of them owned.
    assert told == {
        "largest": [["A", 4 / 6], ["B", 1 / 6], ["C", 1 / 6]],
        "half": 1,
        "owners": 3,
        "unknown": 1 / 7,
    }


def test_ten_are_named_and_as_few_as_reach_half_are_counted() -> None:
    names = [f"N{place}" for place in range(12)]

    told = beyond.shares(lists_of(range(12)), np.arange(12), names)

    assert told["largest"] == [[name, 1 / 12] for name in names[:10]]
    # Six of twelve are half, neither more nor less.
    assert told["half"] == 6
    assert told["owners"] == 12


def test_shares_of_nothing_are_nothing() -> None:
    nothing = {"largest": [], "half": None, "owners": 0, "unknown": None}

    assert beyond.shares(lists_of([-1]), np.array([0]), ["A"]) == nothing
    assert beyond.shares(np.zeros((0, 3), np.int32), np.zeros(0, np.int64), []) == nothing
    assert beyond.shares(lists_of([0]), np.array([-1]), []) == {**nothing, "unknown": 1}


def test_cold_recall_is_of_cold_items_alone() -> None:
    cold = np.array([False, True, True, True])
    relevant = played({0: 1, 1: 1, 2: 1}, {0: 1}, {3: 1}, count=4)

    # The first finds 1 of 1 and 2 within two places, the second has none, the third's comes third.
    told = beyond.cold_recall(lists_of([0, 1, 2], [0, 1, 2], [0, 1, 3]), relevant, cold, 2)

    assert told == (1 / 2 + 0) / 2


def test_cold_recall_without_cold_items_is_nothing() -> None:
    assert beyond.cold_recall(lists_of([0]), played({0: 1}, count=1), np.array([False]), 20) is None
    assert beyond.cold_recall(lists_of([0]), played({0: 1}, count=1), np.array([True]), 20) == 1
    assert beyond.cold_recall(np.zeros((0, 3), np.int32), played(count=2), np.array([True, True]), 20) is None
