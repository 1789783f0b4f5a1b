"""Accuracy is what pencil and paper find on small lists, and what scikit-learn finds where it measures the same."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from worker.recommenders import accuracy, histories
from worker.recommenders.accuracy import per_user
from worker.recommenders.histories import Histories

NAMES = ("recall", "precision", "ndcg", "map", "hit", "mrr")


def played(rows: Sequence[Sequence[int]], count: int) -> Histories:
    user = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    item = np.array([item for row in rows for item in row], np.int64)
    return histories.gather(user, item, np.ones(len(item)), users=len(rows), items=count)


def lists_of(*rows: Sequence[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def by_hand(ranked: Sequence[int], wanted: set[int], k: int) -> dict[str, float]:
    """The definitions, item by item."""
    if not wanted:
        return dict.fromkeys(NAMES, math.nan)
    hits = [item in wanted for item in list(ranked)[:k]]
    places = [place for place, is_hit in enumerate(hits, start=1) if is_hit]
    most = min(k, len(wanted))
    return {
        "recall": len(places) / most,
        "precision": len(places) / k,
        "ndcg": sum(1 / math.log2(place + 1) for place in places)
        / sum(1 / math.log2(place + 1) for place in range(1, most + 1)),
        "map": sum(sum(hits[:place]) / place for place in places) / most,
        "hit": float(bool(places)),
        "mrr": 1 / places[0] if places else 0.0,
    }


def random_case(users: int, items: int, places: int) -> tuple[np.ndarray, Histories, list[set[int]]]:
    random = np.random.default_rng(7)
    rows = [random.permutation(items)[: random.integers(0, items // 2)].tolist() for _ in range(users)]
    lists = np.array([random.permutation(items)[:places] for _ in range(users)], np.int32)
    for row, end in zip(lists, random.integers(0, places + 1, users), strict=True):
        row[end:] = -1
    return lists, played(rows, items), [set(row) for row in rows]


def test_a_list_with_hits_at_its_second_and_fourth_place() -> None:
    found = per_user(lists_of([3, 1, 0, 2]), played([[1, 2]], 5), (1, 3, 4))

    # Discounts of the places 1 to 4: 1, 1 / log2 3 = 0.63093, 1 / 2, 1 / log2 5 = 0.43068.
    expected = {
        "recall@1": 0,
        "precision@1": 0,
        "ndcg@1": 0,
        "map@1": 0,
        "hit@1": 0,
        "mrr@1": 0,
        # One hit of two, at place 2: 0.63093 / (1 + 0.63093); precision there 1/2, over 2.
        "recall@3": 1 / 2,
        "precision@3": 1 / 3,
        "ndcg@3": 0.386853,
        "map@3": 1 / 4,
        "hit@3": 1,
        "mrr@3": 1 / 2,
        # Both: (0.63093 + 0.43068) / 1.63093; (1/2 + 2/4) / 2.
        "recall@4": 1,
        "precision@4": 2 / 4,
        "ndcg@4": 0.650921,
        "map@4": 1 / 2,
        "hit@4": 1,
        "mrr@4": 1 / 2,
    }
    assert {name: values.tolist() for name, values in found.items()} == {
        name: [pytest.approx(value, abs=1e-6)] for name, value in expected.items()
    }


def test_a_perfect_list_has_1_even_where_more_is_relevant_than_fits() -> None:
    found = per_user(lists_of([4, 0]), played([[0, 1, 2, 3, 4]], 5), (2,))

    assert {name: values.tolist() for name, values in found.items()} == {f"{name}@2": [1.0] for name in NAMES}


def test_what_comes_after_k_is_not_looked_at() -> None:
    relevant = played([[0, 4], [2]], 6)

    long = per_user(lists_of([5, 0, 4, 1], [0, 2, 1, 3]), relevant, (2,))
    short = per_user(lists_of([5, 0], [0, 2]), relevant, (2,))

    for name, values in long.items():
        np.testing.assert_array_equal(values, short[name])


def test_a_list_shorter_than_k_counts_its_missing_places_as_misses() -> None:
    relevant = played([[0, 4]], 6)

    cut = per_user(lists_of([0]), relevant, (5,))
    filled = per_user(lists_of([0, -1, -1, -1, -1]), relevant, (5,))

    # One hit of two, in five places: 1 / (1 + 0.63093).
    assert cut["recall@5"].tolist() == [0.5]
    assert cut["precision@5"].tolist() == [0.2]
    assert cut["ndcg@5"].tolist() == [pytest.approx(0.613147, abs=1e-6)]
    for name, values in filled.items():
        np.testing.assert_array_equal(values, cut[name])


def test_every_measure_is_that_of_its_definition() -> None:
    lists, relevant, wanted = random_case(users=200, items=30, places=12)
    ks = (1, 5, 12, 40)

    found = per_user(lists, relevant, ks)

    for k in ks:
        rows = [by_hand([i for i in row if i >= 0], want, k) for row, want in zip(lists, wanted, strict=True)]
        for name in NAMES:
            np.testing.assert_allclose(found[f"{name}@{k}"], [row[name] for row in rows], rtol=1e-12)


def test_scikit_learn_finds_the_same_ndcg_and_average_precision_of_whole_rankings() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=(50, 40))
    truth = random.random((50, 40)) < 0.2
    truth[:, 0] = True
    lists = np.argsort(-scores, axis=1).astype(np.int32)

    found = per_user(lists, played([np.flatnonzero(row).tolist() for row in truth], 40), (5, 10, 40))

    for k in (5, 10, 40):
        assert found[f"ndcg@{k}"].mean() == pytest.approx(ndcg_score(truth, scores, k=k), rel=1e-12)
    # Cut at k it is another measure: there min(k, relevant) is its whole.
    expected = [average_precision_score(row, score) for row, score in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(found["map@40"], expected, rtol=1e-12)


def test_users_looked_up_in_blocks_are_found_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lists, relevant, _ = random_case(users=100, items=30, places=12)
    together = per_user(lists, relevant, (10,))

    monkeypatch.setattr(accuracy, "CELLS", 31 * 7)
    blocks = per_user(lists, relevant, (10,))

    for name, values in together.items():
        np.testing.assert_array_equal(blocks[name], values)


def test_a_user_with_nothing_relevant_has_no_figure_and_one_with_an_empty_list_has_0() -> None:
    found = per_user(lists_of([0, 1], [-1, -1]), played([[], [1]], 2), (1, 2))

    assert all(math.isnan(values[0]) and values[1] == 0 for values in found.values())


def test_no_users_have_no_figures() -> None:
    found = per_user(np.zeros((0, 10), np.int32), played([], 5), (10,))

    assert {name: values.shape for name, values in found.items()} == {f"{name}@10": (0,) for name in NAMES}


def test_lists_without_places_find_nothing() -> None:
    found = per_user(np.zeros((2, 0), np.int32), played([[1], [0, 2]], 5), (10,))

    assert all(values.tolist() == [0.0, 0.0] for values in found.values())


def test_one_user_and_one_item() -> None:
    found = per_user(lists_of([0]), played([[0]], 1), (1, 10))

    assert all(values.tolist() == [1.0] for name, values in found.items() if name != "precision@10")
    assert found["precision@10"].tolist() == [0.1]


def test_a_catalogue_without_items_finds_nothing() -> None:
    found = per_user(lists_of([-1, -1]), played([[]], 0), (2,))

    assert all(math.isnan(values[0]) for values in found.values())
