"""The peer of alternating least squares learns from the same pairs, and its time counts only where it is as good."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench import factorising
from bench.measurement import MeasurementBroken
from bench.peers import implicit_als
from tests.worker import plays as made_plays
from worker.recommenders import splits

TASK = splits.divide(made_plays.interactions(made_plays.make(150, 120, seed=2)), "random", seed=0).test
SETTINGS = {"factors": 8, "alpha": 10.0, "regularization": 8.0, "iterations": 12, "weighting": "damped"}
THEIRS = {"factors": 8, "regularization": 8.0, "iterations": 12, "num_threads": 1, "random_state": 0}


def loss(users: np.ndarray, items: np.ndarray) -> float:
    """The sum that both make small."""
    weights = TASK.train.weighted("damped").matrix().toarray().astype(np.float64)
    errors = (1 + 10.0 * weights) * ((weights > 0) - users.astype(np.float64) @ items.T) ** 2
    played = TASK.train.listeners > 0
    return float(errors[:, played].sum() + 8.0 * ((users**2).sum() + (items[played] ** 2).sum()))


def test_both_make_the_same_sum_small() -> None:
    ours, _ = factorising.fit(TASK.train, SETTINGS)
    # It warns, in vain for so little, where BLAS has more.
    with threadpool_limits(1, user_api="blas"):
        theirs, _ = implicit_als.fit(factorising.confidence(TASK.train, SETTINGS), THEIRS)

    sums = loss(ours.read(TASK.train), ours.vectors), loss(theirs.user_factors, theirs.item_factors)
    assert sums[0] == pytest.approx(sums[1], rel=0.01)


def test_both_are_judged_alike() -> None:
    ours, _ = factorising.fit(TASK.train, SETTINGS)

    by_us, by_peer = factorising.quality(ours, TASK), factorising.peer_quality(
        ours.read(TASK.train), ours.vectors, TASK
    )  # fmt: skip
    assert by_us == pytest.approx(by_peer, abs=1e-3)
    assert by_us > 0.1


def test_a_time_of_worse_lists_does_not_count() -> None:
    factorising.hold(0.3148, 0.3138)

    with pytest.raises(
        MeasurementBroken, match=r"as good as implicit's within 1%, received NDCG@100 0.3000 and 0.3138"
    ):
        factorising.hold(0.3, 0.3138)
