"""The sum of all units' gradients, each clipped to a norm, of a network of dense layers; none is ever written out.

A dense layer's gradient by one example is the outer product of what came in and of what its sum did to the loss. So its
norm is the product of two norms (Goodfellow 2015, "Efficient per-example gradient computations"), and of a unit of
several examples a sum of products of inner ones. What is summed then is one product of matrices, as without clipping.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types
Network = Any  # a Keras model of dense layers and dropout


def clipped(
    network: Network,
    losses: Callable[[Tensor, Tensor], Tensor],
    examples: tuple[Tensor, Tensor, Tensor],
    units: tuple[Tensor, Tensor],
    *,
    clip_norm: float,
    longest: int,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The sum over units of gradients of at most `clip_norm`; with the weighted loss of each example, and outputs.

    `examples` are x, y and weights, unit after unit; `units` the unit of each example, rising, and how many there are.
    A unit's gradient is the mean of those of its examples, each times its weight. `longest`: no unit has more.
    """
    x, y, weights = examples
    owners, count = units
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        outputs, given, sums = _forward(network, x, tape)
        each = losses(y, outputs) * weights
    # An example's sums touch no loss but its own.
    backward = tape.gradient(each, sums)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(weights), owners, count)
    share = tf.gather(tf.math.divide_no_nan(1.0, sizes), owners)
    errors = [error * share[:, None] for error in backward]
    squares = tf.add_n([_squares(a, e, owners, count, longest) for a, e in zip(given, errors, strict=True)])
    # A norm that is no number is clipped to nothing: its unit must not be seen by it, either.
    scale = tf.where(tf.math.is_finite(squares), clip_norm / tf.maximum(tf.sqrt(squares), clip_norm), 0.0)
    by_example = tf.gather(scale, owners)[:, None]
    gradients = []
    for a, e in zip(given, errors, strict=True):
        held = tf.where(by_example > 0, e * by_example, 0.0)
        a = tf.where(by_example > 0, a, 0.0)
        gradients += [tf.matmul(a, held, transpose_a=True), tf.reduce_sum(held, axis=0)]
    return gradients, each, outputs


def _forward(network: Network, x: Tensor, tape: Any) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Outputs, what each dense layer is given, and its sums before the activation, which the tape watches."""
    given, sums = [], []
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            x = layer(x, training=True)
            continue
        given.append(x)
        total = tf.matmul(x, layer.kernel.value) + layer.bias.value
        tape.watch(total)
        sums.append(total)
        x = layer.activation(total)
    return x, given, sums


def _squares(given: Tensor, errors: Tensor, owners: Tensor, count: Tensor, longest: int) -> Tensor:
    """The squared norm of each unit's gradient in a layer, its biases' with it, (units,)."""
    if longest == 1:
        return tf.math.unsorted_segment_sum(
            (tf.reduce_sum(given**2, axis=1) + 1.0) * tf.reduce_sum(errors**2, axis=1), owners, count
        )
    first = tf.math.unsorted_segment_min(tf.range(tf.shape(owners)[0]), owners, count)
    places = tf.stack([owners, tf.range(tf.shape(owners)[0]) - tf.gather(first, owners)], axis=1)

    def apart(rows: Tensor) -> Tensor:
        """(examples, width) to (units, longest, width), zeros where a unit has fewer."""
        return tf.scatter_nd(places, rows, tf.stack([count, longest, tf.shape(rows)[1]]))

    a, e = apart(given), apart(errors)
    # What is a zero for want of an example has an error of nought, so that the 1 of the bias does nothing there.
    inner = tf.matmul(a, a, transpose_b=True) + 1.0
    return tf.maximum(tf.reduce_sum(inner * tf.matmul(e, e, transpose_b=True), axis=[1, 2]), 0.0)


def noise(shapes: Sequence[Any], seed: Tensor, deviation: float) -> list[Tensor]:
    """Gaussian noise of these shapes: a pure function of the seed, two int64."""
    return [
        tf.random.stateless_normal(shape, tf.random.experimental.stateless_fold_in(seed, place), alg="philox")
        * deviation
        for place, shape in enumerate(shapes)
    ]


def sample(units: int, probability: float, seed: Tensor) -> Tensor:
    """The units of a step, rising: each is among them with this probability, whatever the others do (Poisson)."""
    drawn = tf.random.stateless_uniform([units], seed, dtype=tf.float64, alg="philox")
    return tf.cast(tf.where(drawn < probability)[:, 0], tf.int32)
