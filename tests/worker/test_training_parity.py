"""Whatever a client may ask for, a training is Keras's own: the same losses, accuracies and weights, epoch by epoch."""

from typing import Any

import keras
import numpy as np
import pytest

from tests.worker import training_cases as cases
from tests.worker.training_cases import assert_same, assert_same_weights, bare, describe, fit, fit_bare
from worker.training import Objective, Table

HIDDEN: list[dict[str, Any]] = [{"units": 8}, {"units": 4, "activation": "tanh"}]
BINARY = Objective("binary_crossentropy", metrics=("accuracy",))
BASE = {"epochs": 4, "batch_size": 16, "seed": 3, "learning_rate": 0.01}


@pytest.mark.parametrize(
    ("asked", "theirs"),
    [
        ({"optimizer": "gradient_descent"}, lambda: keras.optimizers.SGD()),
        ({"optimizer": "sgd"}, lambda: keras.optimizers.SGD()),
        ({"optimizer": "sgd", "momentum": 0.9}, lambda: keras.optimizers.SGD(momentum=0.9)),
        (
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
            lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
        ),
        ({"optimizer": "rmsprop"}, lambda: keras.optimizers.RMSprop()),
        ({"optimizer": "adam"}, lambda: keras.optimizers.Adam()),
        ({"optimizer": "adamw", "weight_decay": 0.01}, lambda: keras.optimizers.AdamW(weight_decay=0.01)),
        ({"optimizer": "adam", "clip_norm": 0.05}, lambda: keras.optimizers.Adam(clipnorm=0.05)),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_every_optimizer(asked: dict[str, Any], theirs: Any) -> None:
    params = {**BASE, **asked}
    train, held_out = cases.split(cases.binary(), held_out=20)
    spec = describe(train, HIDDEN, "sigmoid")

    ours = fit(spec, BINARY, params, train=train, validation=held_out)

    model = bare(spec, seed=3)
    history = fit_bare(
        model, params, loss="binary_crossentropy", optimizer=theirs(), train=train, validation=held_out,
        metrics=["accuracy"],
    )  # fmt: skip
    assert_same(ours, history)
    assert_same_weights(ours, model)


@pytest.mark.parametrize(
    ("table", "output", "loss", "theirs"),
    [
        (cases.binary(), "sigmoid", "binary_crossentropy", "binary_crossentropy"),
        (cases.binary(), "sigmoid", "mean_squared_error", "mean_squared_error"),
        (cases.classes(), "softmax", "categorical_crossentropy", "categorical_crossentropy"),
        (cases.classes(), "sigmoid", "binary_crossentropy", "binary_crossentropy"),
        (cases.numbers(), "linear", "mean_squared_error", "mean_squared_error"),
        (cases.numbers(outputs=2), "linear", "mean_absolute_error", "mean_absolute_error"),
        (cases.numbers(), "linear", "huber", keras.losses.Huber(delta=0.3)),
    ],
    ids=["binary", "binary-squared", "classes", "labels", "number", "numbers", "huber"],
)
def test_every_loss(table: Table, output: str, loss: str, theirs: Any) -> None:
    train, held_out = cases.split(table, held_out=20)
    spec = describe(train, HIDDEN, output)
    params = {**BASE, "optimizer": "adam"}

    ours = fit(spec, Objective(loss, huber_delta=0.3), params, train=train, validation=held_out)

    model = bare(spec, seed=3)
    history = fit_bare(model, params, loss=theirs, optimizer="adam", train=train, validation=held_out)
    assert_same(ours, history)
    assert_same_weights(ours, model)


@pytest.mark.parametrize(
    "hidden",
    [
        [{"units": 8, "batch_normalization": True}, {"units": 4, "activation": "elu", "batch_normalization": True}],
        [{"units": 16, "dropout": 0.4}, {"units": 8, "dropout": 0.2}],
        [{"units": 8, "l1": 0.01, "l2": 0.02}, {"units": 4, "l2": 0.1}],
        [{"units": 8, "batch_normalization": True, "dropout": 0.3, "l2": 0.01}, {"units": 4}],
    ],
    ids=["batch-normalization", "dropout", "regularised", "all-of-it"],
)
def test_every_sort_of_layer(hidden: list[dict[str, Any]]) -> None:
    train, held_out = cases.split(cases.binary(), held_out=20)
    spec = describe(train, hidden, "sigmoid")
    params = {**BASE, "optimizer": "adam"}

    ours = fit(spec, BINARY, params, train=train, validation=held_out)

    model = bare(spec, seed=3)
    history = fit_bare(
        model, params, loss="binary_crossentropy", optimizer="adam", train=train, validation=held_out,
        metrics=["accuracy"],
    )  # fmt: skip
    assert_same(ours, history)
    assert_same_weights(ours, model)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "swish"])
def test_every_activation(activation: str) -> None:
    train = cases.binary(40)
    spec = describe(train, [{"units": 6, "activation": activation}], "sigmoid")
    params = {**BASE, "epochs": 2, "optimizer": "adam"}

    ours = fit(spec, BINARY, params, train=train)

    model = bare(spec, seed=3)
    assert_same(
        ours, fit_bare(model, params, loss="binary_crossentropy", optimizer="adam", train=train, validation=None)
    )


@pytest.mark.parametrize("rows", [96, 97, 7], ids=["whole-batches", "a-last-batch-of-one", "less-than-a-batch"])
def test_every_number_of_rows(rows: int) -> None:
    train = cases.binary(rows)
    spec = describe(train, HIDDEN, "sigmoid")
    params = {**BASE, "optimizer": "adam"}

    ours = fit(spec, BINARY, params, train=train)

    model = bare(spec, seed=3)
    history = fit_bare(
        model, params, loss="binary_crossentropy", optimizer="adam", train=train, validation=None, metrics=["accuracy"]
    )
    assert_same(ours, history)
    assert "val_loss" not in ours.history[0]


def test_weights_of_rows() -> None:
    plain = cases.binary()
    weighted = Table(plain.x, plain.y, np.where(plain.y[:, 0] == 1, 3.0, 0.5).astype(np.float32))
    train, held_out = cases.split(weighted, held_out=20)
    spec = describe(train, HIDDEN, "sigmoid")
    params = {**BASE, "optimizer": "adam"}

    ours = fit(spec, BINARY, params, train=train, validation=held_out)

    model = bare(spec, seed=3)
    history = fit_bare(
        model, params, loss="binary_crossentropy", optimizer="adam", train=train, validation=held_out,
        metrics=["accuracy"],
    )  # fmt: skip
    assert_same(ours, history)
    unweighted = fit(spec, BINARY, params, train=cases.split(plain, held_out=20)[0], validation=held_out)
    assert unweighted.history[0]["loss"] != pytest.approx(ours.history[0]["loss"], abs=1e-3)


@pytest.mark.parametrize(
    "rate",
    [
        {"schedule": "exponential", "initial": 0.05, "rate": 0.5, "every_epochs": 2},
        {"schedule": "cosine", "initial": 0.05, "final": 0.001, "warmup_epochs": 2},
        {"schedule": "steps", "epochs": [1, 3], "values": [0.1, 0.01, 0.001]},
    ],
    ids=lambda rate: rate["schedule"],
)
def test_every_schedule(rate: dict[str, Any]) -> None:
    train = cases.binary()
    spec = describe(train, HIDDEN, "sigmoid")
    params = {**BASE, "optimizer": "sgd", "learning_rate": rate}

    ours = fit(spec, BINARY, params, train=train)

    model = bare(spec, seed=3)
    assert_same(
        ours, fit_bare(model, params, loss="binary_crossentropy", optimizer="sgd", train=train, validation=None)
    )
    assert len({row["learning_rate"] for row in ours.history}) > 1


def test_a_plateau_lowers_the_rate_as_keras_does() -> None:
    train, held_out = cases.split(cases.binary(), held_out=30)
    spec = describe(train, HIDDEN, "sigmoid")
    rate = {"schedule": "plateau", "initial": 0.2, "factor": 0.5, "patience": 2, "minimum": 0.01}
    params = {**BASE, "epochs": 30, "optimizer": "sgd", "learning_rate": rate}

    ours = fit(spec, BINARY, params, train=train, validation=held_out)

    lowered = [row["learning_rate"] for row in ours.history]
    best, waited, expected, current = np.inf, 0, [], 0.2
    for row in ours.history:
        expected.append(current)
        waited = 0 if row["val_loss"] < best else waited + 1
        best = min(best, row["val_loss"])
        if waited >= 2:
            current, waited = max(current * 0.5, 0.01), 0
    assert lowered == pytest.approx(expected)
    assert lowered[-1] < lowered[0]


@pytest.mark.parametrize(("patience", "min_delta"), [(3, 0.0), (2, 0.01), (1, 0.0)])
def test_early_stopping_is_that_of_keras(patience: int, min_delta: float) -> None:
    train, held_out = cases.split(cases.binary(), held_out=20)
    spec = describe(train, [{"units": 32}], "sigmoid")
    stopping = {"patience": patience, "min_delta": min_delta, "restore_best": True}
    params = {**BASE, "epochs": 60, "optimizer": "adam", "learning_rate": 0.05, "early_stopping": stopping}

    ours = fit(spec, BINARY, params, train=train, validation=held_out)

    model, theirs = (
        bare(spec, seed=3),
        keras.callbacks.EarlyStopping(patience=patience, min_delta=min_delta, restore_best_weights=True),
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    callback, epochs = _stopping_by_hand(model, theirs, params, train, held_out)
    assert ours.stopped_by == "early_stopping"
    assert ours.epochs == epochs
    assert ours.best_epoch == callback.best_epoch + 1
    assert_same_weights(ours, model)


def _stopping_by_hand(
    model: Any, callback: Any, params: dict[str, Any], train: Table, held_out: Table
) -> tuple[Any, int]:
    """Keras's own callback, told of each epoch as its fit would tell it."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in range(params["epochs"]):
        one = {**params, "epochs": 1, "early_stopping": False}
        order = cases.training.order(params["seed"], epoch, len(train.x))
        model.optimizer.learning_rate = params["learning_rate"]
        ran = model.fit(
            train.x[order], train.y[order], batch_size=one["batch_size"], epochs=1, shuffle=False, verbose=0,
            validation_data=(held_out.x, held_out.y),
        )  # fmt: skip
        callback.on_epoch_end(epoch, {name: values[0] for name, values in ran.history.items()})
        if model.stop_training:
            callback.on_train_end()
            return callback, epoch + 1
    return callback, params["epochs"]
