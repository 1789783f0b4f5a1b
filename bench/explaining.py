"""Explaining rows of a table, against the bare gradients that integrated gradients are made of."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from bench.measurement import Measurement, compare
from shared.networks import Layer
from shared.table_params import RowExplanation
from worker import attribution, device, explanations, features, kinds, networks, slopes
from worker.artifacts import Model
from worker.features import Number
from worker.input_statistics import InputStatistics
from worker.networks import NetworkSpec

# The features of a known collection of music, and as many classes.
ROWS, COLUMNS, CLASSES = 1000, 57, 10
SPEC = NetworkSpec(COLUMNS, CLASSES, (Layer(units=128), Layer(units=64)), "softmax")

# From a matrix (rows, columns) and how much of each output is wanted (rows, classes).
Passes = Callable[[np.ndarray, np.ndarray], None]


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    model = _model()
    x = np.random.default_rng(1).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    cells = {f"x{place}": pa.array(column) for place, column in enumerate(x.T)}
    scorer = kinds.find("classification").predict.open(model)
    outputs = scorer.network(x)
    wanted = np.eye(CLASSES, dtype=np.float32)[outputs.argmax(axis=1)]
    explainer = explanations.open(model, scorer, RowExplanation(), examples=None)

    def ours() -> pa.Array:
        return explainer.explain(x, outputs, cells)

    peers = {"TensorFlow's, compiled": _tape(model), "our own": _own(model)}
    # As in a scoring, whose threads each have rows of their own (worker/predictions.py).
    with threadpool_limits(1, user_api="blas"):
        return _compared(rounds, ours, peers, x, wanted)


def _compared(
    rounds: int, ours: Callable[[], pa.Array], peers: dict[str, Passes], x: np.ndarray, wanted: np.ndarray
) -> list[Measurement]:
    said = [row["steps"] for row in map(_read, ours().to_pylist())]
    note = f"{np.mean(np.array(said) > attribution.FIRST_STEPS):.1%} of the rows needed more points; with the JSON"
    measured = []
    for name, passes in peers.items():
        passes(x, wanted)
        pairs = [(_timed(ours), _timed(partial(passes, x, wanted))) for _ in range(rounds)]
        what = f"{ROWS:,} rows explained at {attribution.FIRST_STEPS} points, against bare gradients, {name}"
        measured.append(compare(what, pairs, unit="s", bar="≤ 1.5", note=note))
    return measured


def _model() -> Model:
    weights = networks.weights(networks.build(SPEC, seed=1))
    ones = np.ones(COLUMNS, np.float32)
    numbers = [Number(name=f"x{place}", fill=0.0) for place in range(COLUMNS)]
    target = {"encoding": "one_hot", "labels": [f"c{place}" for place in range(CLASSES)], "columns": ["genre"]}
    statistics = InputStatistics(0 * ones, ones, -3 * ones, 3 * ones)
    return Model("classification", SPEC, weights, features.as_json(numbers), target, inputs=statistics)


def _tape(model: Model) -> Passes:
    network = networks.build(SPEC, seed=1)
    networks.assign(network, model.weights)

    @tf.function
    def gradients(x: Any, wanted: Any) -> Any:  # Any: TensorFlow ships no types
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(network(x, training=False) * wanted)
        return tape.gradient(total, x)

    def passes(x: np.ndarray, wanted: np.ndarray) -> None:
        for _ in range(attribution.FIRST_STEPS):
            gradients(tf.constant(x), tf.constant(wanted)).numpy()

    return passes


def _own(model: Model) -> Passes:
    backward = slopes.compile(model.network, model.weights)

    def passes(x: np.ndarray, wanted: np.ndarray) -> None:
        for _ in range(attribution.FIRST_STEPS):
            backward.slopes(x, wanted)

    return passes


def _read(text: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(text)
    return said


def _timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
