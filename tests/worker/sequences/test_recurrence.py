"""The recurrent layer with its own gradient, against Keras's."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from worker.sequences.recurrence import gru

ROWS, STEPS, INPUTS, UNITS = 3, 11, 5, 7


def test_states_and_gradients_are_those_of_keras() -> None:
    keras.utils.set_random_seed(1)
    layer = keras.layers.GRU(UNITS, return_sequences=True)
    x = tf.constant(np.random.default_rng(0).normal(size=(ROWS, STEPS, INPUTS)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        wanted = layer(x)
        loss = tf.reduce_sum(tf.sin(wanted))
    wanted_gradients = tape.gradient(loss, [x, *[weight.value for weight in layer.trainable_weights]])

    kernel, recurrent, bias = (tf.constant(weight.numpy()) for weight in layer.trainable_weights)
    found, gradients = _differentiate(x, kernel, recurrent, bias)

    np.testing.assert_allclose(found, wanted, atol=1e-6)
    for one, other in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@tf.function(autograph=False)
def _differentiate(*values: Any) -> tuple[Any, list[Any]]:
    x, kernel, recurrent, bias = values
    with tf.GradientTape() as tape:
        tape.watch(values)
        coming = tf.transpose(x @ kernel + bias[0], (1, 0, 2))
        found = gru(coming, tf.ones((STEPS, ROWS, 1)), tf.zeros((ROWS, UNITS)), recurrent, bias[1])
        found = tf.transpose(found, (1, 0, 2))
        loss = tf.reduce_sum(tf.sin(found))
    return found, tape.gradient(loss, values)


def test_where_a_piece_begins_nothing_is_known_of_the_one_before() -> None:
    random = np.random.default_rng(1)
    coming = tf.constant(random.normal(size=(STEPS, 1, 3 * UNITS)), tf.float32)
    recurrent, bias = (tf.constant(random.normal(size=size), tf.float32) for size in ((UNITS, 3 * UNITS), 3 * UNITS))
    keep = np.ones((STEPS, 1, 1), np.float32)
    keep[4] = 0

    together = gru(coming, tf.constant(keep), tf.zeros((1, UNITS)), recurrent, bias)

    ones, nothing = np.ones((STEPS - 4, 1, 1), np.float32), tf.zeros((1, UNITS))
    alone = gru(coming[4:], tf.constant(ones), nothing, recurrent, bias)
    np.testing.assert_allclose(together[4:], alone, atol=1e-6)
