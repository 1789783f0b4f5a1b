"""The sum of all units' gradients, each clipped to a norm, of a network of dense layers; none is ever written out.

A dense layer's gradient by one example is the outer product of what came in and of what its sum did to the loss. So its
norm is the product of two norms (Goodfellow 2015, "Efficient per-example gradient computations"), and of a unit of
several examples a sum of products of inner ones. What is summed then is one product of matrices, as without clipping.
"""

import math
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
    A unit's gradient is the mean of those of its examples, each times its weight. `longest`: no unit has more; where it
    is 1, every unit has one.
    """
    x, y, weights = examples
    owners, count = units
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        outputs, given, sums = _forward(network, x, tape)
        each = losses(y, outputs) * weights
    # An example's sums touch no loss but its own.
    backward = tape.gradient(each, sums)
    if longest == 1:
        # Each example is its unit: nothing to look up, which in small batches takes longer than the arithmetic.
        errors = backward
        squares = tf.add_n([_squares_alone(a, e) for a, e in zip(given, errors, strict=True)])
    else:
        sizes = tf.math.unsorted_segment_sum(tf.ones_like(weights), owners, count)
        share = tf.gather(tf.math.divide_no_nan(1.0, sizes), owners)
        errors = [error * share[:, None] for error in backward]
        apart = _apart_by(tf.cast(sizes, tf.int32), longest)
        squares = tf.add_n([_squares(apart(a), apart(e)) for a, e in zip(given, errors, strict=True)])
    # A norm that is no number is clipped to nothing: its unit must not be seen by it, either.
    scale = tf.where(tf.math.is_finite(squares), clip_norm / tf.maximum(tf.sqrt(squares), clip_norm), 0.0)
    by_example = (scale if longest == 1 else tf.gather(scale, owners))[:, None]
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


def _squares_alone(given: Tensor, errors: Tensor) -> Tensor:
    """The same of units of one example each, (examples,)."""
    return (tf.reduce_sum(given**2, axis=1) + 1.0) * tf.reduce_sum(errors**2, axis=1)


def _apart_by(sizes: Tensor, longest: int) -> Callable[[Tensor], Tensor]:
    """Puts rows, (examples, width), unit by unit: (units, longest, width), zeros where a unit has fewer."""
    first, steps = tf.cumsum(sizes, exclusive=True), tf.range(longest)
    # Behind the last example is a row of zeros.
    places = tf.where(steps[None, :] < sizes[:, None], first[:, None] + steps[None, :], tf.reduce_sum(sizes))

    def apart(rows: Tensor) -> Tensor:
        return tf.gather(tf.pad(rows, [[0, 1], [0, 0]]), places)

    return apart


def _squares(given: Tensor, errors: Tensor) -> Tensor:
    """The squared norm of each unit's gradient in a layer, its biases' with it, (units,), of what lies unit by unit."""
    # What is a zero for want of an example has an error of nought, so that the 1 of the bias does nothing there.
    inner = tf.matmul(given, given, transpose_b=True) + 1.0
    return tf.maximum(tf.reduce_sum(inner * tf.matmul(errors, errors, transpose_b=True), axis=[1, 2]), 0.0)


def noise(shapes: Sequence[Any], seed: Tensor, deviation: float) -> list[Tensor]:
    """Gaussian noise of these shapes: a pure function of the seed, two int64."""
    sizes = [math.prod(shape) for shape in shapes]
    # In one draw, of which many small ones would take several times as long.
    drawn = tf.random.stateless_normal([sum(sizes)], seed, alg="philox") * deviation
    return [tf.reshape(part, shape) for part, shape in zip(tf.split(drawn, sizes), shapes, strict=True)]


def sample(units: int, probability: float, seed: Tensor) -> Tensor:
    """The units of a step, rising: each is among them with this probability, whatever the others do (Poisson).

    Drawn is how many are passed over before the next one, which is geometric: as many numbers as units are chosen, and
    not as there are (Vitter 1987, "An efficient algorithm for sequential random sampling").
    """
    if probability >= 1.0:
        return tf.range(units)
    expected = units * probability
    # Nearly always enough; where it is not, there is another turn.
    return _draw(units, probability, seed, at_once=math.ceil(expected + 10 * math.sqrt(expected) + 20))


def _draw(units: int, probability: float, seed: Tensor, *, at_once: int) -> Tensor:
    passed = math.log1p(-probability)

    def draw(chosen: Tensor, last: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        folded = tf.random.experimental.stateless_fold_in(seed, turn)
        drawn = tf.random.stateless_uniform([at_once], folded, dtype=tf.float64, alg="philox")
        places = last + tf.cumsum(tf.floor(tf.math.log1p(-drawn) / passed) + 1.0)
        return tf.concat([chosen, places], axis=0), places[-1], turn + 1

    def goes_on(_: Tensor, last: Tensor, __: Tensor) -> Tensor:
        return last < units - 1

    nobody = tf.zeros([0], tf.float64), tf.constant(-1.0, tf.float64), tf.constant(0)
    any_number = tf.TensorShape([None]), tf.TensorShape([]), tf.TensorShape([])
    chosen, _, _ = tf.while_loop(goes_on, draw, nobody, shape_invariants=any_number)
    return tf.cast(tf.boolean_mask(chosen, chosen < units), tf.int32)
