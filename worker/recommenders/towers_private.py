"""An autoencoder that learns in private steps: a listener is a unit, with all that they have played.

A step is a function of a secret key and of its own number, as those of rows are (worker/private/epochs.py). Nothing is
taken from the plays but by steps: each item of the catalogue has its weights, whether anybody has played it or not.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from shared.kinds.recommendation import TrainParams
from worker.private import clipping, units
from worker.private.plan import Plan, settle
from worker.recommenders import towers_batches
from worker.recommenders.histories import Histories
from worker.recommenders.towers_batches import Batch
from worker.recommenders.towers_network import NEVER, Network, Settings

Tensor = Any  # TensorFlow ships no types

KEY, KEY_BYTES = "private_key", 8
# What one key is folded with, so that what is drawn and what is added know nothing of each other.
DRAWN, ADDED = 0, 1


def plan(given: Histories, params: TrainParams) -> Plan:
    """How the steps of a training on these histories are taken. Raises JobFailed."""
    assert params.privacy is not None
    listeners = int(np.count_nonzero(given.lengths))
    found = units.gather(np.arange(listeners), at_most=1)
    batch = towers_batches.size(listeners, params.batch_size)
    return settle(params.privacy, found, "listener", batch=batch, epochs=params.epochs_at_most)


class PrivateNetwork(Network):
    """As Network; it draws its listeners by itself, each with the same chance in every step (Poisson)."""

    def __init__(self, settings: Settings, given: Histories, steps: Plan) -> None:
        # As if all items were played alike: how popular they are is learned in private steps, like the rest.
        super().__init__(settings, np.ones(given.count, np.int64), None)
        self._given, self._plan, self._dropout = given, steps, settings.dropout
        # Kept with the rest in every checkpoint, and nowhere else.
        self.key = _key(steps.seed)
        pairs = tf.TensorSpec([None, 2], tf.int64)
        said = [tf.TensorSpec([], tf.int64), pairs, tf.TensorSpec([None], tf.float32), pairs]
        self._private = tf.function(
            self._noised, autograph=False, input_signature=[*said, tf.TensorSpec([2], tf.int64)]
        )

    def step(self, number: int, *, rate: float) -> bool:
        """Take the step of this number; returns whether the weights are still numbers."""
        self.optimizer.learning_rate.assign(rate)
        batch = self._draw(number)
        added = np.random.Philox(key=self._words(ADDED), counter=number).random_raw(2).view(np.int64)
        gradients = self._private(
            *(tf.constant(each) for each in (np.int64(batch.rows), batch.read, batch.shares, batch.wanted, added))
        )
        self._update(gradients)
        return all(bool(np.isfinite(each.numpy()).all()) for each in self.weights.values())

    def everything(self) -> dict[str, np.ndarray]:
        return {**super().everything(), KEY: self.key}

    def assign(self, values: Mapping[str, np.ndarray]) -> None:
        super().assign({name: value for name, value in values.items() if name != KEY})
        self.key = values.get(KEY, self.key)

    def _draw(self, number: int) -> Batch:
        random = np.random.Generator(np.random.Philox(key=self._words(DRAWN), counter=number << 64))
        chosen = np.flatnonzero(random.random(len(self._given)) < self._plan.sampling)
        if not len(chosen):
            none = np.empty((0, 2), np.int64)
            return Batch(0, none, np.empty(0, np.float32), none, np.zeros(2, np.int32))
        return towers_batches.hide(self._given.take(chosen), self._dropout, random)

    def _words(self, part: int) -> np.ndarray:
        """The key of one use, two uint64."""
        return np.random.SeedSequence([*self.key.view(np.uint64).tolist(), part]).generate_state(2, np.uint64)

    def _noised(self, rows: Tensor, read: Tensor, shares: Tensor, wanted: Tensor, seed: Tensor) -> list[Tensor]:
        """The mean gradient over the listeners of a step, each clipped, with noise, in the order of the weights."""
        values = {name: tf.convert_to_tensor(variable.value) for name, variable in self.weights.items()}
        sums = clipped(values, (rows, read, shares, wanted), clip_norm=self._plan.clip_norm)
        deviation = self._plan.noise_multiplier * self._plan.clip_norm
        noise = clipping.noise([value.shape for value in values.values()], seed, deviation)
        # By the size that a batch has on average: its own would tell who is in it.
        return [(sums[name] + some) / self._plan.batch for name, some in zip(values, noise, strict=True)]


def clipped(
    values: Mapping[str, Tensor], batch: tuple[Tensor, Tensor, Tensor, Tensor], *, clip_norm: float
) -> dict[str, Tensor]:
    """The sum over listeners of gradients of at most `clip_norm`, of `reading`, `vectors` and `bias`.

    `batch` is how many listeners there are, pairs of a listener and an item that are read, how much each counts, and
    pairs to be found. A listener's loss is the mean of theirs (a full softmax, without what was read). With s the
    shares, h = Σ s reading, e the softmax less what is wanted, and b = vectorsᵀ e, their gradient is e hᵀ for the
    vectors, e for the bias, and s b for each item read; so the square of its norm is |e|² (|h|² + 1) + Σ s² |b|².
    """
    rows, read, shares, wanted = batch
    count = tf.cast(rows, tf.int32)
    of = tf.cast(read[:, 0], tf.int32)
    summed = tf.math.unsorted_segment_sum(tf.gather(values["reading"], read[:, 1]) * shares[:, None], of, count)
    logits = tf.matmul(summed, values["vectors"], transpose_b=True) + values["bias"]
    logits = tf.tensor_scatter_nd_update(logits, read, tf.fill([tf.shape(read)[0]], NEVER))
    sizes = tf.math.unsorted_segment_sum(tf.ones([tf.shape(wanted)[0]]), tf.cast(wanted[:, 0], tf.int32), count)
    parts = 1.0 / tf.gather(sizes, wanted[:, 0])
    errors = tf.tensor_scatter_nd_sub(tf.nn.softmax(logits), wanted, parts)
    back = tf.matmul(errors, values["vectors"])
    shared = tf.math.unsorted_segment_sum(shares**2, of, count)
    squares = tf.reduce_sum(errors**2, 1) * (tf.reduce_sum(summed**2, 1) + 1.0) + shared * tf.reduce_sum(back**2, 1)
    # A norm that is no number is clipped to nothing: its listener must not be seen by it, either.
    is_known = tf.math.is_finite(squares)[:, None]
    scale = clip_norm / tf.maximum(tf.sqrt(squares), clip_norm)[:, None]

    def held(each: Tensor) -> Tensor:
        return tf.where(is_known, each * scale, 0.0)

    kept = tf.where(is_known, summed, 0.0)
    reading = tf.where(tf.gather(is_known, of), tf.gather(back * scale, of) * shares[:, None], 0.0)
    return {
        "reading": tf.math.unsorted_segment_sum(reading, read[:, 1], values["reading"].shape[0]),
        "vectors": tf.matmul(held(errors), kept, transpose_a=True),
        "bias": tf.reduce_sum(held(errors), axis=0),
    }


def _key(seed: int | None) -> np.ndarray:
    """128 bits, int64 (2,): of the operating system's entropy, unless a seed is given."""
    if seed is not None:
        return np.array([seed, 0], np.int64)
    return np.frombuffer(secrets.token_bytes(2 * KEY_BYTES), np.int64).copy()
