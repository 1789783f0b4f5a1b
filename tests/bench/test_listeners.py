"""EASE is what least squares find, its settings are chosen on validation, and all sides are judged on the same test."""

import numpy as np
import pytest

from bench import listeners, plays
from bench.measurement import MeasurementBroken
from bench.peers import ease
from shared.kinds.recommendation import TrainParams
from tests.worker import plays as made_plays
from worker.recommenders import splits

PLAYS = made_plays.interactions(made_plays.make(120, 200, seed=3))
QUICK = {"split": "random", "epochs": 2, "network": {"embedding": 8}, "als": {"factors": 8, "iterations": 2}}


@pytest.mark.parametrize(("users", "items"), [(12, 30), (30, 12)])
@pytest.mark.parametrize("least", [1, 3])
def test_the_peer_is_what_least_squares_find_with_a_diagonal_of_zeros(users: int, items: int, least: int) -> None:
    played = np.random.default_rng(items).random((users, items)) < 0.25
    ((_, _, found),) = ease.grid(played, [2.5], [least])

    x = played.astype(float)
    kept = [item for item in range(items) if played[:, item].sum() >= least]
    for item in range(items):
        if item not in kept:
            assert np.isneginf(found[:, item]).all()
            continue
        others = [each for each in kept if each != item]
        gram = x[:, others].T @ x[:, others] + 2.5 * np.eye(len(others))
        expected = x[:, others] @ np.linalg.solve(gram, x[:, others].T @ x[:, item])
        heard = played[:, item]
        assert found[~heard, item] == pytest.approx(expected[~heard], abs=1e-4)


def test_the_peers_settings_are_those_that_do_best_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "STRENGTHS", (0.01, 20.0, 1e6))
    monkeypatch.setattr(listeners, "LEASTS", (1, 4))
    split = splits.divide(PLAYS, "random", seed=0)

    found = listeners.tuned(split)

    task, values = split.validation, {}
    for least, l2, scores in ease.grid(listeners._played(task.train), (0.01, 20.0, 1e6), (1, 4)):
        values[f"l2 {l2:g}, items of {least} or more"] = plays.judge(scores[task.users], task)["NDCG@100"]
    assert len(values) == 6
    assert values[found.said] == max(values.values())
    assert found.figures["NDCG@100"] > 0.1


def test_the_default_the_networks_and_the_peer_are_judged_on_the_same_listeners() -> None:
    default, network, peer = listeners.compete(PLAYS, TrainParams.model_validate(QUICK))

    assert default.said.split()[0] in ("popularity", "neighbours", "ease", "als", "two_tower", "autoencoder")
    assert network.said.split()[0] in ("two_tower", "autoencoder")
    assert peer.said.startswith("l2 ")
    for found in (default, network, peer):
        assert set(found.figures) == {"R@20", "NDCG@100"}
        assert all(0 < value < 1 for value in found.figures.values())


def test_without_a_network_nothing_is_said_of_the_best_one() -> None:
    params = TrainParams.model_validate({"split": "random", "candidates": ["popularity"]})

    with pytest.raises(MeasurementBroken, match="expected networks among the candidates"):
        listeners.compete(PLAYS, params)
