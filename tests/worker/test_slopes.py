"""Gradients in NumPy are those of TensorFlow's tape."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.networks import Activation, Layer
from worker import forward, networks, slopes
from worker.networks import NetworkSpec, OutputActivation


def both(spec: NetworkSpec, x: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Our slopes and the tape's, of a network with weights that no initialiser would draw."""
    model = networks.build(spec, seed=3)
    random = np.random.default_rng(3)
    weights = {
        name: (value + random.uniform(0.1, 0.9, value.shape)).astype(np.float32)
        for name, value in networks.weights(model).items()
    }
    networks.assign(model, weights)
    return slopes.compile(spec, weights).slopes(x, wanted), taped(model, x, wanted)


def taped(model: keras.Sequential, x: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(model(given, training=False) * wanted)
    return np.asarray(tape.gradient(total, given))


def drawn(rows: int, columns: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.5, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_has_the_slope_that_the_tape_finds(activation: Activation) -> None:
    hidden = (Layer(units=7, activation=activation), Layer(units=4, activation=activation))

    ours, tape = both(NetworkSpec(5, 3, hidden, "linear"), drawn(64, 5) / 4, drawn(64, 3, seed=1))

    np.testing.assert_allclose(ours, tape, rtol=1e-5, atol=1e-5 * np.abs(tape).max())


@pytest.mark.parametrize("output", get_args(OutputActivation))
def test_normalisation_and_every_output_have_it_too(output: OutputActivation) -> None:
    hidden = (Layer(units=16, dropout=0.5, batch_normalization=True), Layer(units=8, activation="tanh"))

    ours, tape = both(NetworkSpec(5, 4, hidden, output), drawn(100, 5), drawn(100, 4, seed=1))

    np.testing.assert_allclose(ours, tape, rtol=1e-5, atol=1e-5 * max(1e-3, float(np.abs(tape).max())))


def test_a_network_without_hidden_layers_has_its_kernel_for_slopes() -> None:
    weights = {"output.kernel": np.array([[2.0], [-3.0]], np.float32), "output.bias": np.zeros(1, np.float32)}

    found = slopes.compile(NetworkSpec(2, 1, (), "linear"), weights).slopes(drawn(5, 2), np.ones((5, 1), np.float32))

    np.testing.assert_array_equal(found, np.tile([[2.0, -3.0]], (5, 1)))


def test_it_answers_what_the_network_answers_and_leaves_what_it_is_given() -> None:
    spec = NetworkSpec(5, 3, (Layer(units=7, activation="gelu"),), "softmax")
    weights = networks.weights(networks.build(spec, seed=1))
    x = drawn(50, 5)
    before = x.copy()

    found = slopes.compile(spec, weights).outputs(x)

    np.testing.assert_allclose(found, forward.compile(spec, weights)(x), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(x, before)
