"""The NumPy answer of a network is Keras's answer."""

from typing import get_args

import numpy as np
import pytest

from shared.networks import Activation, Layer
from worker import forward, networks
from worker.networks import NetworkSpec


def both(spec: NetworkSpec, x: np.ndarray, *, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """What NumPy and what Keras answer, with weights that no initialiser would draw."""
    model = networks.build(spec, seed=seed)
    random = np.random.default_rng(seed)
    weights = {
        name: (value + random.uniform(0.1, 0.9, value.shape)).astype(np.float32)
        for name, value in networks.weights(model).items()
    }
    networks.assign(model, weights)
    return forward.compile(spec, weights)(x.copy()), np.asarray(model(x, training=False))


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_is_that_of_keras(activation: Activation) -> None:
    spec = NetworkSpec(5, 3, (Layer(units=7, activation=activation),), "linear")
    x = np.random.default_rng(0).normal(0, 2, (64, 5)).astype(np.float32)

    ours, keras = both(spec, x)

    np.testing.assert_allclose(ours, keras, rtol=1e-5, atol=1e-6 * np.abs(keras).max())


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear"])
def test_dropout_is_nothing_and_normalisation_is_folded(output: str) -> None:
    hidden = (Layer(units=16, dropout=0.5, batch_normalization=True), Layer(units=8, activation="tanh", l2=0.1))
    spec = NetworkSpec(5, 4, hidden, output)
    x = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32)

    ours, keras = both(spec, x)

    assert ours.dtype == np.float32 and ours.shape == (200, 4)
    np.testing.assert_allclose(ours, keras, rtol=1e-5, atol=1e-6)


def test_a_network_without_hidden_layers_answers() -> None:
    x = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32)

    ours, keras = both(NetworkSpec(5, 1, (), "sigmoid"), x)

    np.testing.assert_allclose(ours, keras, rtol=1e-5)


def test_many_rows_are_answered_as_few_are() -> None:
    spec = NetworkSpec(5, 4, (Layer(units=16),), "softmax")
    weights = networks.weights(networks.build(spec, seed=1))
    x = np.random.default_rng(1).normal(size=(2 * forward.BLOCK_ROWS + 3, 5)).astype(np.float32)

    run = forward.compile(spec, weights)

    np.testing.assert_allclose(run(x)[-3:], run(x[-3:]), rtol=1e-5)
    assert run(x[:0]).shape == (0, 4)


def test_the_input_is_left_as_it_was() -> None:
    spec = NetworkSpec(2, 1, (), "sigmoid")
    x = np.ones((3, 2), np.float32)

    forward.compile(spec, {"output.kernel": np.ones((2, 1), np.float32), "output.bias": np.zeros(1, np.float32)})(x)

    np.testing.assert_array_equal(x, np.ones((3, 2)))


@pytest.mark.parametrize(("inputs", "units", "outputs"), [(64, 128, 1), (256, 7, 3), (5, 4, 2)])
def test_a_row_is_answered_alike_whoever_stands_beside_it(inputs: int, units: int, outputs: int) -> None:
    spec = NetworkSpec(inputs, outputs, (Layer(units=units), Layer(units=units, activation="tanh")), "softmax")
    run = forward.compile(spec, networks.weights(networks.build(spec, seed=1)))
    random = np.random.default_rng(2)
    x = random.normal(size=(3000, inputs)).astype(np.float32)
    whole = run(x)

    for count in (1, 2, 17, 1023, 1025):
        rows = random.choice(len(x), count, replace=False)
        assert np.array_equal(run(x[rows]), whole[rows])
