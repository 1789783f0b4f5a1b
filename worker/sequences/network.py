"""The networks of sequences in TensorFlow, as trained: a window of steps of several pieces at once, and what is carried
on to the next window. worker/sequences/stepping.py does the same with NumPy, step by step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from shared.sequence_networks import Decoder, Gru
from worker.sequences.recurrence import gru
from worker.sequences.spec import SequenceSpec

Tensor = Any  # TensorFlow ships no types
Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]

# Before the mask of another piece; large enough to leave nothing, small enough for every float.
NEVER = -1e9
# Of a piece that ended before all that is looked at.
NOWHERE = -1_000_000.0


@dataclass(frozen=True)
class Window:
    """Some steps of some rows: `before` and `codes` (rows, steps, fields) what is known before and after each step,
    `context` (rows, steps, numbers), `starts` (rows, steps): 1 where a piece begins.
    """

    before: Tensor
    codes: Tensor
    context: Tensor
    starts: Tensor


class Dropping:
    """Dropout whose masks follow from a seed alone, so that a training that is resumed meets the same; None: none."""

    def __init__(self, seed: Tensor | None) -> None:
        self._seed, self._calls = seed, 0

    def __call__(self, values: Tensor, rate: float, shape: Any = None) -> Tensor:
        if self._seed is None or rate == 0:
            return values
        self._calls += 1
        drawn = tf.random.stateless_uniform(
            values.shape if shape is None else shape, tf.stack([self._seed, self._calls])
        )
        return values * tf.cast(drawn >= rate, values.dtype) / (1 - rate)


def first_state(spec: SequenceSpec, rows: int) -> State:
    """What is carried into the first window."""
    if isinstance(spec.network, Gru):
        return tuple(tf.zeros((rows, units)) for units in spec.network.units)
    decoder = spec.network
    kept = [tf.zeros((rows, decoder.reach - 1, 2 * decoder.width)) for _ in range(decoder.layers)]
    return (tf.fill((rows, decoder.reach - 1), NOWHERE), *kept)


def logits(
    spec: SequenceSpec, weights: Weights, window: Window, state: State, drop: Dropping, *, half: bool = False
) -> tuple[Tensor, State]:
    """Of each step and field the logits of its tokens, (rows, steps, fields, tokens) float32, and the next state.

    `half`: large products are in bfloat16, as suits a GPU's matrix units; sums and states stay in float32.
    """
    product = _half_product if half else tf.matmul
    known = _embed(spec, weights, window.before)
    known = drop(known, spec.network.dropout / 2, (known.shape[0], 1, known.shape[2]))
    inputs = tf.concat([known, window.context], -1)
    if isinstance(spec.network, Gru):
        seen, state = _recur(spec.network, weights, inputs, window.starts, state, drop, product)
    else:
        seen, state = _attend(spec.network, weights, inputs, window.starts, state, drop, product)
    return _choose(spec, weights, tf.concat([seen, inputs], -1), window.codes, drop, product), state


def _half_product(one: Tensor, other: Tensor, **how: bool) -> Tensor:
    return tf.cast(tf.matmul(tf.cast(one, tf.bfloat16), tf.cast(other, tf.bfloat16), **how), tf.float32)


def _embed(spec: SequenceSpec, weights: Weights, codes: Tensor) -> Tensor:
    """All fields' numbers, (rows, steps, fields x embedding); as products, whose gradient is always the same sum."""
    parts = [
        tf.matmul(tf.one_hot(codes[..., field], size + 1), weights[f"embedding.{field}"])
        for field, size in enumerate(spec.codes)
    ]
    return tf.concat(parts, -1)


def _choose(spec: SequenceSpec, weights: Weights, seen: Tensor, codes: Tensor, drop: Dropping, product: Any) -> Tensor:
    """Each field's logits from what was seen, and from the step's fields before it."""
    rows, steps, fields, head = seen.shape[0], seen.shape[1], spec.fields, spec.network.head
    known = tf.reshape(_embed(spec, weights, codes), (rows * steps, -1))
    hidden = product(tf.reshape(seen, (rows * steps, -1)), weights["head.state"])
    hidden += _of_fields_before(spec, known, weights["head.known"], product) + weights["head.bias"]
    hidden = drop(tf.nn.gelu(hidden), spec.network.dropout)
    by_field = tf.transpose(tf.reshape(hidden, (rows * steps, fields, head)), (1, 0, 2))
    made = product(by_field, weights["output.kernel"]) + (weights["output.bias"] + spec.token_mask())[:, None]
    return tf.reshape(tf.transpose(made, (1, 0, 2)), (rows, steps, fields, -1))


def _of_fields_before(spec: SequenceSpec, known: Tensor, kernel: Tensor, product: Any) -> Tensor:
    """What each field is told by those before it, (steps, fields x head): the kernel's other parts are not used."""
    size, head = spec.network.embedding, spec.network.head
    told = [tf.zeros((known.shape[0], head))]
    for field in range(1, spec.fields):
        before = field * size
        told.append(product(known[:, :before], kernel[:before, field * head : (field + 1) * head]))
    return tf.concat(told, -1)


def _recur(
    network: Gru, weights: Weights, inputs: Tensor, starts: Tensor, state: State, drop: Dropping, product: Any
) -> tuple[Tensor, State]:
    rows, steps = inputs.shape[0], inputs.shape[1]
    keep = tf.transpose(1 - starts)[..., None]
    values, last = inputs, []
    for place, units in enumerate(network.units):
        name = f"gru.{place}"
        coming = tf.reshape(tf.transpose(values, (1, 0, 2)), (steps * rows, -1))
        coming = product(coming, weights[f"{name}.kernel"]) + weights[f"{name}.bias"]
        recurrent = drop(weights[f"{name}.recurrent"], network.recurrent_dropout)
        after = gru(
            tf.reshape(coming, (steps, rows, 3 * units)), keep, state[place], recurrent,
            weights[f"{name}.recurrent_bias"],
        )  # fmt: skip
        last.append(after[-1])
        values = drop(tf.transpose(after, (1, 0, 2)), network.dropout, (rows, 1, units))
    return values, tuple(last)


def _attend(
    network: Decoder, weights: Weights, inputs: Tensor, starts: Tensor, state: State, drop: Dropping, product: Any
) -> tuple[Tensor, State]:
    """Pre-normalised layers; keys and values of the `reach` - 1 steps before the window are carried in the state."""
    steps = inputs.shape[1]
    pieces, *kept = state
    # Which piece each step is of, counted from that of the last step before the window.
    here = tf.cumsum(starts, axis=1)
    there = tf.concat([pieces, here], 1)
    is_seen = tf.equal(here[:, :, None], there[:, None, :])
    # From each step back to those that it may look at.
    back = tf.range(steps)[:, None] + network.reach - 1 - tf.range(steps + network.reach - 1)[None, :]
    is_seen = is_seen & (back >= 0) & (back < network.reach)
    back = tf.clip_by_value(back, 0, network.reach - 1)
    values, carried = product(inputs, weights["decoder.input"]), []
    for place in range(network.layers):
        name = f"decoder.{place}"
        normal = _normalise(values, weights[f"{name}.attention_gain"])
        mixed = product(normal, weights[f"{name}.attention"])
        query, coming = mixed[..., : network.width], mixed[..., network.width :]
        both = tf.concat([kept[place], coming], 1)
        carried.append(tf.stop_gradient(both[:, steps:]))
        bias = tf.gather(weights[f"{name}.distance"], back, axis=1)
        seen = _look(network, query, both, bias, is_seen)
        values += drop(product(seen, weights[f"{name}.mixed"]), network.dropout)
        normal = _normalise(values, weights[f"{name}.dense_gain"])
        wide = tf.nn.gelu(product(normal, weights[f"{name}.wide"]) + weights[f"{name}.wide_bias"])
        values += drop(product(wide, weights[f"{name}.narrow"]), network.dropout)
    pieces = there[:, steps:] - here[:, -1:]
    return _normalise(values, weights["decoder.gain"]), (pieces, *carried)


def _look(network: Decoder, query: Tensor, both: Tensor, bias: Tensor, is_seen: Tensor) -> Tensor:
    """Attention of (rows, steps, width) to keys and values (rows, steps before and here, 2 width)."""
    size = network.width // network.heads
    key, value = tf.split(both, 2, -1)
    query, key, value = (
        tf.transpose(tf.reshape(each, (each.shape[0], each.shape[1], network.heads, size)), (0, 2, 1, 3))
        for each in (query, key, value)
    )
    scores = tf.matmul(query, key, transpose_b=True) * size**-0.5 + bias[None]
    shares = tf.nn.softmax(tf.where(is_seen[:, None], scores, NEVER))
    seen = tf.transpose(tf.matmul(shares, value), (0, 2, 1, 3))
    return tf.reshape(seen, (seen.shape[0], seen.shape[1], network.width))


def _normalise(values: Tensor, gain: Tensor) -> Tensor:
    """Root mean square layer normalisation (Zhang and Sennrich, NeurIPS 2019)."""
    return values * tf.math.rsqrt(tf.reduce_mean(values * values, -1, keepdims=True) + 1e-6) * gain
