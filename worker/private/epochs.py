"""Epochs whose steps are private: units drawn by chance, their gradients clipped, noise added (Abadi et al. 2016).

A step is a function of a secret key and of its own number. So a training that goes on after a break takes the steps
that it would have taken, with the noise that it would have had, and none twice.
"""

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from worker.epochs import Accuracy, Epochs, Rules
from worker.private import clipping
from worker.private.plan import Plan

Tensor = Any  # TensorFlow ships no types
Losses = Callable[[Tensor, Tensor], Tensor]

# What one key is folded with, so that what is drawn and what is added know nothing of each other.
DRAWN, ADDED = 0, 1
KEY_BYTES = 8


class PrivateEpochs(Epochs):
    """As Epochs; instead of orders of rows the epochs are given their key and their number."""

    def __init__(
        self, model: Any, optimizer: Any, loss: tuple[Any, Losses], accuracy: Accuracy | None, rules: Rules, plan: Plan
    ) -> None:
        mean, self._losses = loss
        super().__init__(model, optimizer, mean, accuracy, rules)
        self._plan = plan
        self._units = tf.constant(plan.units.places), tf.constant(plan.units.starts), tf.constant(plan.units.lengths)
        # Kept with the rest in every checkpoint, and nowhere else.
        self.key = tf.Variable(_key(plan.seed), dtype=tf.int64, trainable=False)
        self.state.append(self.key)
        self._hide_dropout()

    def _hide_dropout(self) -> None:
        """Give dropout secret seeds: a mask belongs to a place in the batch, and places tell who else is in it.

        As long as nobody knows the masks, each example may as well have brought its own.
        """
        drawn = np.random.default_rng(self.key.numpy().view(np.uint64).tolist())
        for layer in self.model.layers:
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign(drawn.integers(2**32, size=2, dtype=np.uint32))

    def orders(self, seed: int, numbers: range, rows: int) -> np.ndarray:
        """(epochs, 3): the key, and which epoch it is; what decides on the rows is drawn in each step."""
        return np.array([[*self.key.numpy(), number] for number in numbers], np.int64)

    def _part(
        self, x: Tensor, y: Tensor, w: Tensor, order: Tensor, rate: Tensor, first: Tensor, end: Tensor, totals: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One epoch: as many steps as it takes to draw each unit once on average."""
        self.optimizer.learning_rate.assign(rate)
        steps = self._plan.steps_an_epoch

        def run_step(place: Tensor, broken: Tensor) -> tuple[Tensor, Tensor]:
            seed = tf.random.experimental.stateless_fold_in(order[:2], order[2] * steps + tf.cast(place, tf.int64))
            is_finite = self._take(x, y, w, seed)
            return place + 1, tf.where(is_finite, broken, place)

        def goes_on(place: Tensor, broken: Tensor) -> Tensor:
            return tf.logical_and(place < steps, broken < 0)

        _, broken = tf.while_loop(goes_on, run_step, (tf.constant(0), tf.constant(-1)))
        return broken, totals

    def _take(self, x: Tensor, y: Tensor, w: Tensor, seed: Tensor) -> Tensor:
        """One step; says whether the weights are still numbers."""
        plan, (places, starts, lengths) = self._plan, self._units
        drawn, added = (tf.random.experimental.stateless_fold_in(seed, part) for part in (DRAWN, ADDED))
        chosen = clipping.sample(len(plan.units), plan.sampling, drawn)
        first, owners = tf.gather(starts, chosen), tf.range(tf.shape(chosen)[0])
        if plan.units.longest == 1:
            rows = tf.gather(places, first)
        else:
            sizes = tf.gather(lengths, chosen)
            rows = tf.gather(places, tf.ragged.range(first, first + sizes).flat_values)
            owners = tf.repeat(owners, sizes)
        gradients, _, _ = clipping.clipped(
            self.model,
            self._losses,
            (tf.gather(x, rows), tf.gather(y, rows), tf.gather(w, rows)),
            (owners, tf.shape(chosen)[0]),
            clip_norm=plan.clip_norm,
            longest=plan.units.longest,
        )
        variables, deviation = self.model.trainable_variables, plan.noise_multiplier * plan.clip_norm
        noise = clipping.noise([each.shape for each in variables], added, deviation / plan.batch)
        # By the size that a batch has on average: its own would tell who is in it.
        private = [sum_ / plan.batch + some for sum_, some in zip(gradients, noise, strict=True)]
        self.optimizer.apply(self._penalized(private), variables)
        # A sum is a number only if each of them is one.
        return tf.math.is_finite(tf.add_n([tf.reduce_sum(each.value) for each in variables]))

    def _penalized(self, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients with those of what the weights themselves cost, which no row has a part in."""
        found: list[Tensor] = []
        for layer in self.model.layers:
            if not hasattr(layer, "kernel"):
                continue
            kernels, biases = gradients[len(found) : len(found) + 2]
            if layer.kernel_regularizer is not None:
                with tf.GradientTape() as tape:
                    kernel = layer.kernel.value
                    tape.watch(kernel)
                    cost = layer.kernel_regularizer(kernel)
                kernels += tape.gradient(cost, kernel)
            found += [kernels, biases]
        return found


def _key(seed: int | None) -> list[int]:
    """128 bits: of the operating system's entropy, unless a seed is given."""
    if seed is not None:
        return [seed, 0]
    return [int.from_bytes(secrets.token_bytes(KEY_BYTES), "little", signed=True) for _ in range(2)]
