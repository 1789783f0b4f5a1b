"""Epochs as one compiled function: the loop over batches, validation, early stopping, plateau, all in the graph.

Keras's own `fit` spends nine tenths of its time outside the arithmetic on small networks; here Python is entered once
a chunk of epochs. The mathematics are Keras's: its model, its losses, its optimizers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

# Rows of validation that are looked at together: what a wide network's activations take stays bounded.
VALIDATION_BATCH = 8192
COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")

Tensor = Any  # TensorFlow ships no types
Accuracy = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rules:
    """What decides between epochs; None switches it off."""

    batch_size: int
    patience: int | None = None
    # Without patience, too: a client may ask at any moment for the end, and for the best epoch up to then.
    keeps_best: bool = False
    min_delta: float = 0.0
    plateau: tuple[float, int, float] | None = None  # factor, patience, minimum
    validation_batch: int = VALIDATION_BATCH


class Epochs:
    """A model, its optimizer, the state between epochs, and the compiled function that advances them."""

    def __init__(self, model: Any, optimizer: Any, loss: Any, accuracy: Accuracy | None, rules: Rules) -> None:
        self.model, self.optimizer = model, optimizer
        self._loss, self._accuracy, self._rules = loss, accuracy, rules
        optimizer.build(model.trainable_variables)
        # Seed states of dropout are variables of the model too, and so are in every checkpoint.
        self.variables = [*model.variables, *optimizer.variables]
        self.best = [tf.Variable(tf.zeros_like(w.value), trainable=False) for w in model.weights]
        self.best_loss = tf.Variable(np.inf, dtype=tf.float32, trainable=False)
        self.best_epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        self.waited = tf.Variable(0, dtype=tf.int32, trainable=False)
        self.plateau_best = tf.Variable(np.inf, dtype=tf.float32, trainable=False)
        self.plateau_waited = tf.Variable(0, dtype=tf.int32, trainable=False)
        self.factor = tf.Variable(1.0, dtype=tf.float32, trainable=False)
        self.state = [self.best_loss, self.best_epoch, self.waited, self.plateau_best, self.plateau_waited, self.factor]
        # Without AutoGraph, which would take longer to rewrite this file than TensorFlow takes to trace it.
        self._advancing = tf.function(self._advance, autograph=False)
        self._traced: Any = None
        # For networks of which one epoch takes minutes: a part of it, and what follows its last.
        self.part = tf.function(self._part, reduce_retracing=True, autograph=False)
        self.close = tf.function(self._close, reduce_retracing=True, autograph=False)

    @property
    def batch_size(self) -> int:
        return self._rules.batch_size

    def orders(self, seed: int, numbers: range, rows: int) -> np.ndarray:
        """The order of the rows in each of these epochs, (epochs, rows)."""
        return np.stack([order(seed, number, rows) for number in numbers])

    def advance(
        self, data: tuple[Tensor, ...], orders: Tensor, rates: Tensor, first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`_advance`, always with data of the same shapes: traced once, for any number of epochs."""
        if self._traced is None:
            any_number = tf.TensorSpec([None, *orders.shape[1:]], orders.dtype), tf.TensorSpec([None], rates.dtype)
            self._traced = self._advancing.get_concrete_function(*data, *any_number, first)
        advanced: tuple[Tensor, Tensor, Tensor] = self._traced(*data, orders, rates, first)
        return advanced

    def reset(self, fresh: Any) -> None:
        """Back to the beginning, with the weights of a freshly built model of the same shape."""
        for variable, new in zip(self.model.variables, fresh.variables, strict=True):
            variable.assign(new)
        for variable in self.optimizer.variables:
            variable.assign(tf.zeros_like(variable.value))
        for variable, value in zip(self.state, (np.inf, 0, 0, np.inf, 0, 1.0), strict=True):
            variable.assign(value)

    def _advance(
        self, x: Tensor, y: Tensor, w: Tensor, vx: Tensor, vy: Tensor, orders: Tensor, rates: Tensor, first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run len(orders) epochs; returns their figures (epochs, COLUMNS), how many were run, and the step that broke.

        `first` is the number of epochs before these; the step is -1 when all losses were finite.
        """
        count = tf.shape(orders)[0]

        def goes_on(epoch: Tensor, is_over: Tensor, *_: Tensor) -> Tensor:
            return tf.logical_and(epoch < count, tf.logical_not(is_over))

        def run_epoch(epoch: Tensor, _: Tensor, __: Tensor, figures: Tensor) -> tuple[Tensor, ...]:
            batches = -(-x.shape[0] // self._rules.batch_size)
            broken, totals = self._part(x, y, w, orders[epoch], rates[epoch], tf.constant(0), batches, tf.zeros(2))
            row, is_over = self._close(w, vx, vy, totals, first + epoch + 1)
            figures = figures.write(epoch, row)
            return epoch + 1, tf.logical_or(is_over, broken >= 0), broken, figures

        figures = tf.TensorArray(tf.float32, size=count, element_shape=[len(COLUMNS)])
        nothing = (tf.constant(0), tf.constant(False), tf.constant(-1), figures)
        done, _, broken, figures = tf.while_loop(goes_on, run_epoch, nothing)
        return figures.stack()[:done], done, broken

    def _part(
        self, x: Tensor, y: Tensor, w: Tensor, order: Tensor, rate: Tensor, first: Tensor, end: Tensor, totals: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run batches first to end of an epoch; returns which one broke, or -1, and `totals` with their loss and hits.

        An epoch in parts is the very same as in one: the same batches, summed in the same order.
        """
        rows, size = x.shape[0], self._rules.batch_size
        least = self._rules.plateau[2] if self._rules.plateau else 0.0
        self.optimizer.learning_rate.assign(tf.maximum(rate * self.factor, least))

        def goes_on(place: Tensor, broken: Tensor, *_: Tensor) -> Tensor:
            return tf.logical_and(place < end, broken < 0)

        def run_batch(place: Tensor, broken: Tensor, total: Tensor, right: Tensor) -> tuple[Tensor, ...]:
            chosen = order[place * size : tf.minimum((place + 1) * size, rows)]
            loss, hits = self._step(tf.gather(x, chosen), tf.gather(y, chosen), tf.gather(w, chosen))
            taken = tf.cast(tf.shape(chosen)[0], tf.float32)
            broken = tf.where(tf.math.is_finite(loss), broken, place)
            return place + 1, broken, total + loss * taken, right + hits

        nothing = (first, tf.constant(-1), totals[0], totals[1])
        _, broken, total, right = tf.while_loop(goes_on, run_batch, nothing)
        return broken, tf.stack([total, right])

    def _close(self, w: Tensor, vx: Tensor, vy: Tensor, totals: Tensor, epoch: Tensor) -> tuple[Tensor, Tensor]:
        """End an epoch of these totals: its figures (COLUMNS), and whether it was the last."""
        means = totals / w.shape[0]
        val_loss, val_accuracy = self._validate(vx, vy)
        rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        is_over = self._judge(val_loss if vx.shape[0] else means[0], epoch)
        return tf.stack([means[0], means[1], val_loss, val_accuracy, rate]), is_over

    def _step(self, x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self.model(x, training=True)
            loss = self._loss(y, outputs, sample_weight=w)
            if self.model.losses:
                loss += tf.add_n(self.model.losses)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.optimizer.apply(gradients, variables)
        hits = tf.constant(0.0) if self._accuracy is None else self._accuracy(y, outputs)
        return loss, hits

    def _validate(self, vx: Tensor, vy: Tensor) -> tuple[Tensor, Tensor]:
        rows = vx.shape[0]
        if rows == 0:
            return tf.constant(np.nan), tf.constant(np.nan)
        size = self._rules.validation_batch

        def run_batch(start: Tensor, total: Tensor, right: Tensor) -> tuple[Tensor, ...]:
            x, y = vx[start : start + size], vy[start : start + size]
            outputs = self.model(x, training=False)
            hits = tf.constant(0.0) if self._accuracy is None else self._accuracy(y, outputs)
            return start + size, total + self._loss(y, outputs) * tf.cast(tf.shape(x)[0], tf.float32), right + hits

        nothing = (tf.constant(0), tf.constant(0.0), tf.constant(0.0))
        _, total, right = tf.while_loop(lambda start, *_: start < rows, run_batch, nothing)
        penalty = tf.add_n(self.model.losses) if self.model.losses else 0.0
        return total / rows + penalty, right / rows

    def _judge(self, watched: Tensor, epoch: Tensor) -> Tensor:
        """Early stopping and plateau, as Keras's callbacks decide them; True when the training is over."""
        self._lower_on_plateau(watched)
        if not self._rules.keeps_best:
            return tf.constant(False)
        is_better = tf.logical_or(watched + self._rules.min_delta < self.best_loss, tf.equal(epoch, 1))
        self.best_loss.assign(tf.where(is_better, watched, self.best_loss))
        self.best_epoch.assign(tf.where(is_better, epoch, self.best_epoch))
        for kept, weight in zip(self.best, self.model.weights, strict=True):
            kept.assign(tf.where(is_better, weight.value, kept))
        waited = self.waited.assign(tf.where(is_better, 0, self.waited + 1))
        if self._rules.patience is None:
            return tf.constant(False)
        return tf.logical_and(waited >= self._rules.patience, epoch > 1)

    def _lower_on_plateau(self, watched: Tensor) -> None:
        if self._rules.plateau is None:
            return
        factor, patience, _ = self._rules.plateau
        is_better = watched < self.plateau_best
        waited = tf.where(is_better, 0, self.plateau_waited + 1)
        is_enough = waited >= patience
        self.plateau_best.assign(tf.where(is_better, watched, self.plateau_best))
        self.plateau_waited.assign(tf.where(is_enough, 0, waited))
        self.factor.assign(tf.where(is_enough, self.factor * factor, self.factor))


def order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """The order of the rows in an epoch (counted from 0): a pure function, so a resumed training meets the same."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(rows).astype(np.int32)


def count_binary(y: Tensor, outputs: Tensor) -> Tensor:
    """Rows' worth of right answers, each output counted alike: Keras's binary accuracy times the rows."""
    right = tf.cast(tf.equal(y, tf.cast(outputs > 0.5, y.dtype)), tf.float32)
    return tf.reduce_sum(tf.reduce_mean(right, axis=-1))


def count_categorical(y: Tensor, outputs: Tensor) -> Tensor:
    right = tf.equal(tf.argmax(y, axis=-1), tf.argmax(outputs, axis=-1))
    return tf.reduce_sum(tf.cast(right, tf.float32))
