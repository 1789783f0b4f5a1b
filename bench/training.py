"""Training throughput: our compiled epochs against Keras's `fit` as everyone calls it, with the same loss curve.

Both have traced before the clock starts. Keras has a process of its own, with TensorFlow's own thread settings.
"""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bench.asking import Asked
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.peers import keras_fit
from bench.peers.keras_fit import BATCH, EPOCHS, SEED, Task
from shared.networks import Layer
from shared.table_params import TableTraining
from worker import device, optimizers, training
from worker.callbacks import Checkpoint
from worker.epochs import Epochs, Rules, count_binary
from worker.networks import NetworkSpec
from worker.training import Objective, Table

PARAMS = TableTraining(optimizer="adam", batch_size=BATCH, epochs=EPOCHS, seed=SEED)
CURVE = 1e-4

Run = Callable[[], list[float]]


class Silence:
    """A watch that hears everything and wants nothing."""

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None: ...

    def check(self) -> None: ...

    def is_checkpoint_due(self) -> bool:
        return False

    def save(self, checkpoint: Checkpoint) -> None: ...

    def is_enough(self) -> bool:
        return False

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None

    def is_budget_spent(self) -> bool:
        return False


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    return [
        _measure("dense", fit_dense, rounds, bar="≥ 5", name="training 20,000 × 64 through 128-64-1, batch 32"),
        _measure("convolutional", fit_convolutional, rounds, bar="≥ 1.5", name="training a small CNN, 256 × 96 × 128"),
    ]


def _measure(network: str, ours: Callable[[Task], Run], rounds: int, *, bar: str, name: str) -> Measurement:
    task, pairs = keras_fit.TASKS[network](), []
    fit = ours(task)
    off = _hold_to_keras(task, fit())
    with Asked("bench.peers.keras_fit", network) as peer:
        peer.ask()
        for _ in range(rounds):
            pairs.append((_rows_a_second(task, fit), peer.ask()))
    note = f"loss curves agree to {off:.1g} over {EPOCHS} epochs in the same order of rows"
    return compare(f"{name}, against Keras's fit", pairs, unit="rows/s", bar=bar, note=note)


def _rows_a_second(task: Task, fit: Run) -> float:
    began = time.perf_counter()
    fit()
    return EPOCHS * len(task.x) / (time.perf_counter() - began)


def fit_dense(task: Task) -> Run:
    """The worker's own training of a table."""
    spec = NetworkSpec(64, 1, (Layer(units=128), Layer(units=64)), "sigmoid")
    goal, table = Objective("binary_crossentropy", metrics=("accuracy",)), Table(task.x, task.y)

    def run() -> list[float]:
        fitted = training.fit(spec, goal, PARAMS, train=table, validation=None, watch=Silence(), checkpoint=None)
        return [row["loss"] for row in fitted.history]

    return run


def fit_convolutional(task: Task) -> Run:
    """The compiled epochs under it, which take any network."""
    twin, fresh = keras_fit.convolutional().model, keras_fit.convolutional().model
    loss = optimizers.loss("binary_crossentropy", 1.0)
    epochs = Epochs(twin, optimizers.optimizer(PARAMS), loss, count_binary, Rules(batch_size=BATCH))
    none = [tf.constant(array[:0]) for array in (task.x, task.y)]

    def run() -> list[float]:
        epochs.reset(fresh)
        data = [tf.constant(array) for array in (task.x, task.y, np.ones(len(task.x), np.float32))]
        orders = np.stack([training.order(SEED, epoch, len(task.x)) for epoch in range(EPOCHS)])
        rates = np.full(EPOCHS, PARAMS.learning_rate, np.float32)
        figures, *_ = epochs.advance((*data, *none), tf.constant(orders), tf.constant(rates), tf.constant(0))
        return [float(row[0]) for row in figures.numpy()]

    return run


def _hold_to_keras(task: Task, losses: list[float]) -> float:
    """The greatest distance between the loss curves. Raises MeasurementBroken when they are not the same."""
    theirs = []
    for epoch in range(EPOCHS):
        rows = training.order(SEED, epoch, len(task.x))
        seen = task.model.fit(task.x[rows], task.y[rows], batch_size=BATCH, shuffle=False, verbose=0)
        theirs.append(seen.history["loss"][0])
    off = float(np.abs(np.subtract(losses, theirs)).max())
    if off > CURVE:
        raise MeasurementBroken(f"ours lost {losses}, Keras {theirs}")
    return off
