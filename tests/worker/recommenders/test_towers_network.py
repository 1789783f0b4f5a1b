"""What the networks that rank say, in TensorFlow and in NumPy."""

from typing import Any, get_args

import numpy as np
import pytest
from scipy import sparse

from shared.kinds.recommendation import TowerLayer
from shared.networks import Activation
from shared.training_params import Training
from worker.recommenders.histories import Histories, gather
from worker.recommenders.towers import Method
from worker.recommenders.towers_batches import draw, reduced, whole
from worker.recommenders.towers_network import Network, Settings

METHODS: tuple[Method, ...] = ("two_tower", "autoencoder")
LAYERS = (TowerLayer(units=24, activation="tanh", dropout=0.2), TowerLayer(units=16, activation="gelu"))


def settings(method: Method, hidden: tuple[TowerLayer, ...]) -> Settings:
    params = Training(optimizer="adam", batch_size=64)
    return Settings(method, "damped", 16, hidden, dropout=0.5, l2=1e-4, epochs=1, training=params)


def drawn(users: int = 40, items: int = 30) -> Histories:
    random = np.random.default_rng(0)
    user, item = random.integers(0, users, users * 6), random.integers(0, items, users * 6)
    return gather(user, item, 1.0 + random.geometric(0.3, users * 6), users=users, items=items)


def content(items: int, *, seed: int = 1) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.random.default_rng(seed).normal(size=(items, 5)).astype(np.float32))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("has_content", [False, True])
@pytest.mark.parametrize("hidden", [(), LAYERS], ids=["plain", "layers"])
def test_numpy_answers_what_the_network_says(method: Method, has_content: bool, hidden: Any) -> None:
    given = drawn()
    given = given.take(np.flatnonzero(given.lengths > 0))
    rows = reduced(content(given.count)) if has_content and method == "two_tower" else None
    network = Network(settings(method, hidden), given.listeners, rows)
    for batch in draw(given.weighted("damped"), 64, dropout=0.5, seed=0, epoch=0):
        network.learn(batch, rate=0.05)

    model = network.towers()

    said = network.logits(whole(given.weighted("damped")))
    assert model.scores(model.read(given)) == pytest.approx(said, abs=1e-5)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_is_the_same_in_numpy(activation: Activation) -> None:
    given = drawn(items=10)
    given = given.take(np.flatnonzero(given.lengths > 0))
    network = Network(settings("autoencoder", (TowerLayer(units=7, activation=activation),)), given.listeners, None)

    model = network.towers()

    said = network.logits(whole(given.weighted("damped")))
    assert model.scores(model.read(given)) == pytest.approx(said, abs=1e-5)
