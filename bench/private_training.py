"""What private steps cost: epochs of private training against our own ordinary ones, of the same network and table.

Both have traced before the clock starts; both go through as many rows, of which a private epoch draws its own.
"""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bench.measurement import Measurement, compare
from bench.peers import keras_fit
from bench.peers.keras_fit import SEED
from shared.networks import Layer
from shared.table_params import TableTraining
from worker import device, networks, optimizers
from worker.epochs import Epochs, Rules
from worker.networks import NetworkSpec
from worker.private import plan as plans
from worker.private.epochs import PrivateEpochs

BATCH, EPOCHS, GROUP = 256, 3, 20
SPEC = NetworkSpec(64, 1, (Layer(units=128), Layer(units=64)), "sigmoid")
PRIVACY = {"noise_multiplier": 1.0, "noise_seed": SEED}

Run = Callable[[], None]


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    return [
        _measure("row", 256, rounds, name="private training 20,000 × 64 through 128-64-1, 256 rows a step"),
        _measure("row", 32, rounds, name="private training 20,000 × 64 through 128-64-1, 32 rows a step"),
        _measure("group", 256, rounds, name="the same by groups of 20 rows, 256 rows a step"),
    ]


def _measure(unit: str, batch: int, rounds: int, *, name: str) -> Measurement:
    task = keras_fit.TASKS["dense"]()
    ordinary, private = _ordinary(task.x, task.y, batch), _private(task.x, task.y, batch, unit)
    for run in (ordinary, private):
        run()
    pairs = [(_rows_a_second(private, len(task.x)), _rows_a_second(ordinary, len(task.x))) for _ in range(rounds)]
    return compare(f"{name}, against our ordinary training", pairs, unit="rows/s", bar="≥ 0.25", note=f"unit {unit}")


def _rows_a_second(run: Run, rows: int) -> float:
    began = time.perf_counter()
    run()
    return EPOCHS * rows / (time.perf_counter() - began)


def _ordinary(x: np.ndarray, y: np.ndarray, batch: int) -> Run:
    params = TableTraining(optimizer="adam", batch_size=batch, epochs=EPOCHS, seed=SEED)
    model, loss = networks.build(SPEC, seed=SEED), optimizers.loss("binary_crossentropy", 1.0)
    return _run(Epochs(model, optimizers.optimizer(params), loss, None, Rules(batch_size=batch)), x, y)


def _private(x: np.ndarray, y: np.ndarray, batch: int, unit: str) -> Run:
    size = batch // GROUP if unit == "group" else batch
    said = {
        "optimizer": "adam",
        "batch_size": size,
        "epochs": EPOCHS,
        "seed": SEED,
        "privacy": {**PRIVACY, "unit": unit},
    }
    params = TableTraining.model_validate(said)
    plan = plans.make(params, np.arange(len(x)), np.arange(len(x)) // GROUP)
    model = networks.build(SPEC, seed=SEED)
    losses = optimizers.loss("binary_crossentropy", 1.0), optimizers.losses("binary_crossentropy", 1.0)
    rules = Rules(batch_size=size)
    return _run(PrivateEpochs(model, optimizers.optimizer(params), losses, None, rules, plan), x, y)


def _run(epochs: Epochs, x: np.ndarray, y: np.ndarray) -> Run:
    none = tf.constant(x[:0], tf.float32), tf.constant(y[:0], tf.float32)
    data = tf.constant(x, tf.float32), tf.constant(y, tf.float32), tf.ones(len(x)), *none
    rates = tf.fill([EPOCHS], 0.001)

    def run() -> None:
        orders = tf.constant(epochs.orders(SEED, range(EPOCHS), len(x)))
        epochs.advance(data, orders, rates, tf.constant(0))

    return run
