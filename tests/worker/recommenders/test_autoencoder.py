"""Vectors of a linear autoencoder: out of which matrix they are found, and what that takes of memory."""

import tracemalloc

import numpy as np
import pytest

from worker.recommenders import autoencoder
from worker.recommenders.histories import Histories, gather
from worker.recommenders.low_rank import LowRank


def drawn(users: int, items: int) -> Histories:
    random = np.random.default_rng(4)
    user, item = random.integers(0, users, users * 5), random.integers(0, items, users * 5)
    return gather(user, item, 1.0 + random.geometric(0.3, users * 5), users=users, items=items)


def fitted(given: Histories, rank: int, *, l2: float = 3.0) -> LowRank:
    return autoencoder.fit_rank(given, rank=rank, l2=l2, ridge_power=0.5, score_power=0.2, weighting="damped")


@pytest.mark.parametrize(("users", "items"), [(90, 20), (20, 90), (30, 30)])
def test_either_square_and_what_is_found_step_by_step_come_to_the_same(
    monkeypatch: pytest.MonkeyPatch, users: int, items: int
) -> None:
    given = drawn(users, items)
    squared = fitted(given, 7)
    monkeypatch.setattr(autoencoder, "FEW", 0)

    stepped = fitted(given, 7)

    assert squared.vectors.shape == stepped.vectors.shape == (items, 7)
    assert squared.reading @ squared.vectors.T == pytest.approx(stepped.reading @ stepped.vectors.T, abs=1e-5)


@pytest.mark.parametrize(("users", "items"), [(20_000, 100), (60, 9_000)])
def test_no_matrix_of_users_and_items_is_held(users: int, items: int) -> None:
    given = drawn(users, items) if users > items else drawn(items, users)
    if users < items:
        given = gather(given.items, given.users, given.weights, users=users, items=items)
    tracemalloc.start()
    try:
        model = fitted(given, 128)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    # Of float64; what is found is of items and as many vectors as there are.
    assert peak < 0.5 * 8 * users * items + 4 * 8 * model.reading.size
    assert model.vectors.shape[1] == min(users, items)


def test_no_ridge_is_too_small_for_numbers() -> None:
    model = fitted(drawn(40, 12), 6, l2=1e-300)

    assert np.isfinite(model.reading).all() and np.isfinite(model.vectors).all()
    assert model.vectors.any()


def test_of_nobody_there_are_no_vectors() -> None:
    none = np.zeros(0, np.int64)

    model = fitted(gather(none, none, np.zeros(0), users=3, items=4), 2)

    assert (model.vectors.shape, model.unknown.tolist()) == ((4, 0), [0, 1, 2, 3])
