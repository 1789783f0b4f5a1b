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
from shared.kinds.recommendation import TrainParams
from shared.networks import Layer
from shared.table_params import TableTraining
from worker import device, networks, optimizers
from worker.epochs import Epochs, Rules
from worker.networks import NetworkSpec
from worker.private import plan as plans
from worker.private.epochs import PrivateEpochs
from worker.private.plan import Plan
from worker.recommenders import towers_private, towers_training
from worker.recommenders.histories import gather
from worker.recommenders.towers_network import Settings

BATCH, EPOCHS, GROUP = 256, 3, 20
SPEC = NetworkSpec(64, 1, (Layer(units=128), Layer(units=64)), "sigmoid")
# A head of recordings as it is by default, on two embeddings of 200 numbers.
HEAD, RECORDINGS = NetworkSpec(400, 1, (Layer(units=256, dropout=0.5),), "sigmoid"), 1000
LISTENERS_AND_ITEMS = 8000, 2000
PRIVACY = {"noise_multiplier": 1.0, "noise_seed": SEED}

Run = Callable[[], None]


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    return [
        _measure("row", 256, rounds, name="private training 20,000 × 64 through 128-64-1, 256 rows a step"),
        _measure("row", 32, rounds, name="private training 20,000 × 64 through 128-64-1, 32 rows a step"),
        _measure("group", 256, rounds, name="the same by groups of 20 rows, 256 rows a step"),
        _measure_head(rounds),
        _measure_listeners(rounds),
    ]


def _measure(unit: str, batch: int, rounds: int, *, name: str) -> Measurement:
    task = keras_fit.TASKS["dense"]()
    rows, groups = np.arange(len(task.x)), np.arange(len(task.x)) // GROUP
    params = _params(unit, batch // GROUP if unit == "group" else batch)
    ordinary = _ordinary(SPEC, task.x, task.y, batch)
    private = _private(SPEC, task.x, task.y, params, plans.make(params, rows, groups))
    pairs = _rates(private, ordinary, len(task.x), rounds)
    return compare(f"{name}, against our ordinary training", pairs, unit="rows/s", bar="≥ 0.25", note=f"unit {unit}")


def _measure_head(rounds: int) -> Measurement:
    """A head on embeddings: a recording is a unit, of so many segments as a group above has rows."""
    random = np.random.default_rng(SEED)
    x = random.normal(size=(RECORDINGS * GROUP, HEAD.inputs)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    params = _params("row", BATCH // GROUP)
    ordinary = _ordinary(HEAD, x, y, BATCH)
    private = _private(HEAD, x, y, params, plans.make(params, np.arange(len(x)) // GROUP, None))
    name = f"private head on {RECORDINGS:,} recordings of {GROUP} segments × 400 through 256-1, {BATCH} segments a step"
    pairs = _rates(private, ordinary, len(x), rounds)
    return compare(
        f"{name}, against our ordinary training", pairs, unit="segments/s", bar="≥ 0.25", note="unit recording"
    )


def _rates(private: Run, ordinary: Run, rows: int, rounds: int) -> list[tuple[float, float]]:
    for run in (ordinary, private):
        run()
    return [(_rows_a_second(private, rows), _rows_a_second(ordinary, rows)) for _ in range(rounds)]


def _rows_a_second(run: Run, rows: int) -> float:
    began = time.perf_counter()
    run()
    return EPOCHS * rows / (time.perf_counter() - began)


def _ordinary(spec: NetworkSpec, x: np.ndarray, y: np.ndarray, batch: int) -> Run:
    params = TableTraining(optimizer="adam", batch_size=batch, epochs=EPOCHS, seed=SEED)
    model, loss = networks.build(spec, seed=SEED), optimizers.loss("binary_crossentropy", 1.0)
    return _run(Epochs(model, optimizers.optimizer(params), loss, None, Rules(batch_size=batch)), x, y)


def _params(unit: str, size: int) -> TableTraining:
    """Of a private training that draws so many units a step."""
    said = {
        "optimizer": "adam",
        "batch_size": size,
        "epochs": EPOCHS,
        "seed": SEED,
        "privacy": {**PRIVACY, "unit": unit},
    }
    return TableTraining.model_validate(said)


def _private(spec: NetworkSpec, x: np.ndarray, y: np.ndarray, params: TableTraining, plan: Plan) -> Run:
    model = networks.build(spec, seed=SEED)
    losses = optimizers.loss("binary_crossentropy", 1.0), optimizers.losses("binary_crossentropy", 1.0)
    rules = Rules(batch_size=params.batch_size)
    return _run(PrivateEpochs(model, optimizers.optimizer(params), losses, None, rules, plan), x, y)


def _measure_listeners(rounds: int) -> Measurement:
    """An autoencoder of 8,000 listeners and 2,000 items, by epochs that show as many listeners."""
    random, (users, items) = np.random.default_rng(SEED), LISTENERS_AND_ITEMS
    user, item = random.integers(0, users, users * 30), random.zipf(1.3, users * 30) % items
    given = gather(user, item, np.ones(len(user)), users=users, items=items)

    def listeners_a_second(params: TrainParams) -> float:
        settings = Settings("autoencoder", "damped", 32, (), 0.5, 0.0, EPOCHS, params)
        steps = None if params.privacy is None else towers_private.plan(given, params)
        ends: list[float] = []

        def told(figures: dict[str, float]) -> None:
            if "learning_rate" in figures:
                ends.append(time.perf_counter())

        towers_training.fit(given, None, settings, judge=None, patience=EPOCHS, told=told, steps=steps)
        # The first epoch traces.
        return (EPOCHS - 1) * users / (ends[-1] - ends[0])

    said: dict[str, object] = {"epochs": EPOCHS, "batch_size": 512, "seed": SEED}
    ordinary = TrainParams.model_validate(said)
    private = TrainParams.model_validate({**said, "privacy": PRIVACY})
    pairs = [(listeners_a_second(private), listeners_a_second(ordinary)) for _ in range(rounds)]
    name = "private recommender, 8,000 listeners and 2,000 items, against the same network without privacy"
    return compare(name, pairs, unit="listeners/s", bar="≥ 0.25", note="unit listener")


def _run(epochs: Epochs, x: np.ndarray, y: np.ndarray) -> Run:
    none = tf.constant(x[:0], tf.float32), tf.constant(y[:0], tf.float32)
    data = tf.constant(x, tf.float32), tf.constant(y, tf.float32), tf.ones(len(x)), *none
    rates = tf.fill([EPOCHS], 0.001)

    def run() -> None:
        orders = tf.constant(epochs.orders(SEED, range(EPOCHS), len(x)))
        epochs.advance(data, orders, rates, tf.constant(0))

    return run
