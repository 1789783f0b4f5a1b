"""Trainings beside bare Keras: the same network, the same order of rows, epoch by epoch."""

from typing import Any

import keras
import numpy as np

from shared.kinds.classification import TrainParams
from shared.networks import Layer
from worker import optimizers, training
from worker.callbacks import Checkpoint
from worker.fitted import Fitted
from worker.networks import NetworkSpec
from worker.training import Objective, Table

# What single precision allows after some dozen steps.
CLOSE = 1e-5

History = dict[str, list[float]]


class Silent:
    """A watch that lets a training run to its end."""

    def __init__(self) -> None:
        self.reported: list[dict[str, float]] = []

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        self.reported += epochs

    def check(self) -> None:
        pass

    def is_checkpoint_due(self) -> bool:
        return False

    def save(self, checkpoint: Checkpoint) -> None:
        raise AssertionError("no checkpoint was due")

    def is_enough(self) -> bool:
        return False

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None

    def is_budget_spent(self) -> bool:
        return False


class Saving(Silent):
    """A watch that has a checkpoint taken after every chunk, and leaves after some of them."""

    def __init__(self, *, leave_after: int | None = None) -> None:
        super().__init__()
        self.checkpoints: list[Checkpoint] = []
        self._leave_after = leave_after

    def is_checkpoint_due(self) -> bool:
        return True

    def save(self, checkpoint: Checkpoint) -> None:
        self.checkpoints.append(checkpoint)

    def check(self) -> None:
        if self._leave_after is not None and len(self.checkpoints) >= self._leave_after:
            raise KilledError


class KilledError(Exception):
    """Stands for the end of the process."""


def binary(rows: int = 100, columns: int = 10, *, seed: int = 0) -> Table:
    """Uniform features, random labels: the textbook's rock and pop."""
    random = np.random.default_rng(seed)
    x = random.random((rows, columns)).astype(np.float32)
    return Table(x, random.integers(0, 2, (rows, 1)).astype(np.float32))


def classes(rows: int = 90, *, count: int = 3, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    x = random.random((rows, 6)).astype(np.float32)
    return Table(x, np.eye(count, dtype=np.float32)[random.integers(0, count, rows)])


def numbers(rows: int = 90, *, outputs: int = 1, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    x = random.random((rows, 6)).astype(np.float32)
    return Table(
        x, (x @ random.normal(size=(6, outputs)) + 0.1 * random.normal(size=(rows, outputs))).astype(np.float32)
    )


def split(table: Table, *, held_out: int) -> tuple[Table, Table]:
    """The last rows as Keras's validation_split takes them."""
    weight = None if table.weight is None else table.weight[:-held_out]
    return (
        Table(table.x[:-held_out], table.y[:-held_out], weight),
        Table(table.x[-held_out:], table.y[-held_out:]),
    )


def describe(table: Table, hidden: list[dict[str, Any]], output: str) -> NetworkSpec:
    layers = tuple(Layer.model_validate(layer) for layer in hidden)
    return NetworkSpec(table.x.shape[1], table.y.shape[1], layers, output)  # type: ignore[arg-type]


def fit(
    spec: NetworkSpec,
    objective: Objective,
    params: dict[str, Any],
    *,
    train: Table,
    validation: Table | None = None,
    watch: Silent | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    chosen = TrainParams.model_validate(params)
    return training.fit(
        spec, objective, chosen, train=train, validation=validation, watch=watch or Silent(), checkpoint=checkpoint
    )


def bare(spec: NetworkSpec, *, seed: int) -> Any:  # Any: Keras ships no types
    """The network as a reader of the textbook writes it, seeded as it is there."""
    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input((spec.inputs,))]
    for layer in spec.hidden:
        regulariser = keras.regularizers.L1L2(layer.l1, layer.l2) if layer.l1 or layer.l2 else None
        inside = None if layer.batch_normalization else layer.activation
        layers.append(keras.layers.Dense(layer.units, activation=inside, kernel_regularizer=regulariser))
        if layer.batch_normalization:
            layers += [keras.layers.BatchNormalization(), keras.layers.Activation(layer.activation)]
        if layer.dropout:
            layers.append(keras.layers.Dropout(layer.dropout))
    layers.append(keras.layers.Dense(spec.outputs, activation=spec.output_activation))
    return keras.Sequential(layers)


def fit_bare(
    model: Any,
    params: dict[str, Any],
    *,
    loss: Any,
    optimizer: Any,
    train: Table,
    validation: Table | None,
    metrics: list[str] | None = None,
    callbacks: list[Any] | None = None,
) -> History:
    """Keras's own fit, fed in the order that we use; the learning rate of each epoch is set before it."""
    chosen = TrainParams.model_validate(params)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics or [])
    rows = len(train.x)
    size = rows if chosen.optimizer == "gradient_descent" else chosen.batch_size
    orders = iter([training.order(chosen.seed, epoch, rows) for epoch in range(chosen.epochs_at_most)])
    history: History = {}
    for epoch in range(chosen.epochs_at_most):
        order = next(orders)
        model.optimizer.learning_rate = optimizers.rate(chosen, epoch, epochs=chosen.epochs_at_most)
        weight = None if train.weight is None else train.weight[order]
        held_out = None if validation is None else (validation.x, validation.y)
        ran = model.fit(
            train.x[order], train.y[order], sample_weight=weight, batch_size=size, epochs=1, shuffle=False,
            validation_data=held_out, verbose=0, callbacks=callbacks,
        )  # fmt: skip
        for name, values in ran.history.items():
            history.setdefault(name, []).extend(values)
    return history


def assert_same(ours: Fitted, theirs: History, *, close: float = CLOSE) -> None:
    """Every figure that both have, at every epoch."""
    shared = [name for name in theirs if name in ours.history[0]]
    assert "loss" in shared
    for name in shared:
        np.testing.assert_allclose(
            [row[name] for row in ours.history], theirs[name], atol=close, rtol=close, err_msg=name
        )


def assert_same_weights(ours: Fitted, model: Any, *, close: float = CLOSE) -> None:
    for mine, theirs in zip(ours.weights.values(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=close, rtol=1e-4)


def same_bytes(first: Fitted, second: Fitted) -> bool:
    """Whether two trainings ended in the same weights, bit for bit, by the same history."""
    same = all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)
    return same and first.history == second.history
