"""Trains a network on examples held on the device, in chunks of compiled epochs, so that the world can be heard.

A network with a convolutional front takes seconds or minutes an epoch: it is trained in parts of one.
"""

import gc
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from shared.errors import JobFailed
from shared.table_params import TableTraining
from shared.training_params import PlateauDecay
from worker import callbacks, fronts, networks, optimizers
from worker.callbacks import Checkpoint, Watch
from worker.epochs import COLUMNS, Epochs, Rules, count_binary, count_categorical, order
from worker.fitted import Fitted
from worker.networks import NetworkSpec
from worker.private.epochs import PrivateEpochs
from worker.private.plan import Plan

# Python is entered again after about this long: soon enough for a bar, a cancel and a checkpoint.
CHUNK_S = 0.25
# So little arithmetic that the whole training is one chunk: 10 epochs of 100 rows, not 10 of 20,000.
SMALL = 50_000
# Each holds its graph and a model's memory; a tuning that changes one layer goes through a handful.
KEPT_TRACES = 4
ADVICE = (
    "Lower learning_rate, set clip_norm (1.0 is a good start), or leave preprocess on auto so that inputs are scaled."
)


@dataclass(frozen=True)
class Objective:
    """What is minimised, and what is counted beside it."""

    loss: str
    huber_delta: float = 1.0
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Inputs (rows, columns), truth (rows, outputs), weights (rows,) or None; float32.

    For a network with a front the inputs are (rows, frames, bands) and stay float16 on the device.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None


_traces: OrderedDict[tuple[Any, ...], Epochs] = OrderedDict()


def fit(
    spec: NetworkSpec,
    objective: Objective,
    params: TableTraining,
    *,
    train: Table,
    validation: Table | None,
    watch: Watch,
    checkpoint: Checkpoint | None,
    plan: Plan | None = None,
) -> Fitted:
    """Train, in private steps where there is a plan for them.

    Raises JobFailed (training_diverged, out_of_memory), and whatever `watch.check` raises.
    """
    try:
        if plan is None:
            epochs = _prepare(spec, objective, params, train, validation)
        else:
            epochs = _prepare_private(spec, objective, params, plan)
        return _Training(epochs, objective, params, train=train, validation=validation, watch=watch).run(checkpoint)
    except tf.errors.ResourceExhaustedError as cause:
        said = "The device has too little memory for this network and batch: use a smaller batch_size or fewer units."
        raise JobFailed(said, code="out_of_memory") from cause


def _prepare(
    spec: NetworkSpec, objective: Objective, params: TableTraining, train: Table, validation: Table | None
) -> Epochs:
    """Compiled epochs at their beginning: traced before, or new."""
    fresh = networks.build(spec, seed=params.seed)
    rules = replace(_rules(params, len(train.x)), keeps_best=params.stopping is not None or validation is not None)
    if spec.front is not None:
        fronts.learn(fresh, train.x)
        rules = replace(rules, validation_batch=fronts.rows_at_once(spec.front))
    key = (spec, objective, rules, params.optimizer, params.momentum, params.nesterov, params.weight_decay,
           params.clip_norm, train.x.shape, None if validation is None else validation.x.shape)  # fmt: skip
    kept = _traces.pop(key, None)
    if kept is None:
        loss = optimizers.loss(objective.loss, objective.huber_delta)
        kept = Epochs(fresh, optimizers.optimizer(params), loss, _accuracy(objective), rules)
    else:
        kept.reset(fresh)
    _traces[key] = kept
    while len(_traces) > KEPT_TRACES:
        _traces.popitem(last=False)
        gc.collect()
    return kept


def _prepare_private(spec: NetworkSpec, objective: Objective, params: TableTraining, plan: Plan) -> Epochs:
    """The same of private steps; never kept, for a key belongs to one training."""
    said = objective.loss, objective.huber_delta
    made = optimizers.loss(*said), optimizers.losses(*said)
    model, rules = networks.build(spec, seed=params.seed), Rules(batch_size=params.batch_size)
    return PrivateEpochs(model, optimizers.optimizer(params), made, _accuracy(objective), rules, plan)


def _rules(params: TableTraining, rows: int) -> Rules:
    size = rows if params.optimizer == "gradient_descent" else min(params.batch_size, rows)
    rules = Rules(batch_size=size)
    if params.stopping is not None:
        rules = replace(rules, patience=params.stopping.patience, min_delta=params.stopping.min_delta)
    if isinstance(params.learning_rate, PlateauDecay):
        wanted = params.learning_rate
        rules = replace(rules, plateau=(wanted.factor, wanted.patience, wanted.minimum))
    return rules


def _accuracy(objective: Objective) -> Any:
    if "accuracy" not in objective.metrics:
        return None
    return count_categorical if objective.loss == "categorical_crossentropy" else count_binary


class _Training:
    """One training under way."""

    def __init__(
        self,
        epochs: Epochs,
        objective: Objective,
        params: TableTraining,
        *,
        train: Table,
        validation: Table | None,
        watch: Watch,
    ) -> None:
        self.epochs, self.objective, self.params = epochs, objective, params
        self.train, self.validation, self.watch = train, validation, watch
        self.done = 0
        self.history: list[dict[str, float]] = []

    def run(self, checkpoint: Checkpoint | None) -> Fitted:
        data, total = self._tensors(), self.params.epochs_at_most
        if checkpoint is not None:
            self._restore(checkpoint)
            # Told again: the last beat before the break may not have got through.
            self.watch.report(self.history, total=total)
        is_heavy = self.train.x.ndim > 2
        chunk = total if len(self.train.x) * total <= SMALL and not is_heavy else 1
        stopped_by = "early_stopping" if self._is_out_of_patience() else None
        while self.done < total and stopped_by is None:
            began = time.perf_counter()
            pause = self.watch.pauses_after(self.done, total) or total
            run = self._advance_in_parts(data) if is_heavy else self._advance(data, min(chunk, pause - self.done))
            self.watch.report(self.history[-run:], total=total)
            if self.watch.is_checkpoint_due():
                self.watch.save(self._checkpoint())
            self.watch.check()
            stopped_by = "early_stopping" if self._is_out_of_patience() else callbacks.asked_to_end(self.watch)
            each_s = (time.perf_counter() - began) / run
            chunk = max(1, min(4 * chunk, int(CHUNK_S / max(each_s, 1e-6))))
        return self._fitted(stopped_by)

    def _tensors(self) -> tuple[Any, ...]:
        weight = np.ones(len(self.train.x), np.float32) if self.train.weight is None else self.train.weight
        validation = self.validation or Table(self.train.x[:0], self.train.y[:0])
        x, vx = (
            tf.constant(each, tf.float16 if each.ndim > 2 else tf.float32) for each in (self.train.x, validation.x)
        )
        y, w, vy = (tf.constant(each, tf.float32) for each in (self.train.y, weight, validation.y))
        return x, y, w, vx, vy

    def _advance(self, data: tuple[Any, ...], count: int) -> int:
        numbers = range(self.done, self.done + count)
        orders = self.epochs.orders(self.params.seed, numbers, len(self.train.x))
        rates = np.array([self._rate(number) for number in numbers], np.float32)
        figures, run, broken = self.epochs.advance(
            data, tf.constant(orders), tf.constant(rates), tf.constant(self.done, tf.int32)
        )
        for place, row in enumerate(figures.numpy()):
            self.history.append(self._named(self.done + place + 1, row))
        self.done += int(run)
        if int(broken) >= 0:
            self._tell_divergence(int(run), step=int(broken))
        return int(run)

    def _rate(self, epoch: int) -> float:
        return optimizers.rate(self.params, epoch, epochs=self.params.epochs_at_most)

    def _advance_in_parts(self, data: tuple[Any, ...]) -> int:
        """Run one epoch; left in its midst, as `watch.check` may, it is as if it had not begun."""
        x, y, w, vx, vy = data
        rate = tf.constant(self._rate(self.done), tf.float32)
        way = tf.constant(order(self.params.seed, self.done, len(x)))
        totals, first, count, batches = tf.zeros(2), 0, 1, -(-len(x) // self.epochs.batch_size)
        while first < batches:
            began, end = time.perf_counter(), min(first + count, batches)
            broken, totals = self.epochs.part(x, y, w, way, rate, tf.constant(first), tf.constant(end), totals)
            if int(broken) >= 0:
                self.history.append({"epoch": self.done + 1})
                self._tell_divergence(1, step=int(broken))
            self.watch.check()
            each_s = (time.perf_counter() - began) / (end - first)
            first, count = end, max(1, min(4 * count, int(CHUNK_S / each_s)))
        figures, _ = self.epochs.close(w, vx, vy, totals, tf.constant(self.done + 1))
        self.done += 1
        self.history.append(self._named(self.done, figures.numpy()))
        return 1

    def _named(self, epoch: int, row: np.ndarray) -> dict[str, float]:
        figures = {name: float(value) for name, value in zip(COLUMNS, row, strict=True)}
        if self.validation is None:
            figures = {name: value for name, value in figures.items() if not name.startswith("val_")}
        if self.params.privacy is not None:
            # What a training row has to do with a figure is not covered by any epsilon.
            figures = {name: value for name, value in figures.items() if name not in ("loss", "accuracy")}
        if "accuracy" not in self.objective.metrics:
            figures = {name: value for name, value in figures.items() if "accuracy" not in name}
        # JSON has no infinity: a validation loss that overflows is left out.
        return {"epoch": epoch, **{name: value for name, value in figures.items() if math.isfinite(value)}}

    def _tell_divergence(self, run: int, *, step: int) -> None:
        """Tell of the epochs that went well, then of the step that did not."""
        last = self.history.pop()
        if run > 1:
            self.watch.report(self.history[1 - run :], total=self.params.epochs_at_most)
        raise JobFailed(
            f"The loss was no longer a finite number in epoch {int(last['epoch'])}, step {step + 1}. {ADVICE}",
            code="training_diverged",
        )

    def _is_out_of_patience(self) -> bool:
        stopping = self.params.stopping
        return stopping is not None and self.done > 1 and int(self.epochs.waited) >= stopping.patience

    def _fitted(self, stopped_by: str | None) -> Fitted:
        stopping = self.params.stopping
        is_chosen = stopping is not None or stopped_by in callbacks.CUT_SHORT
        # Private steps are all kept: which of them was best would have to be asked of rows.
        best = int(self.epochs.best_epoch) if is_chosen and self.params.privacy is None else None
        if best and (stopped_by in callbacks.CUT_SHORT or (stopping is not None and stopping.restore_best)):
            for weight, kept in zip(self.epochs.model.weights, self.epochs.best, strict=True):
                weight.assign(kept)
        return Fitted(networks.weights(self.epochs.model), self.history, self.done, best, stopped_by)

    def _kept(self) -> dict[str, list[Any]]:
        return {"variable": self.epochs.variables, "best": self.epochs.best, "state": self.epochs.state}

    def _checkpoint(self) -> Checkpoint:
        arrays = {
            f"{group}.{place}": np.asarray(variable.numpy())
            for group, variables in self._kept().items()
            for place, variable in enumerate(variables)
        }
        return Checkpoint(self.done, arrays, {"history": self.history})

    def _restore(self, checkpoint: Checkpoint) -> None:
        for group, variables in self._kept().items():
            for place, variable in enumerate(variables):
                variable.assign(checkpoint.arrays[f"{group}.{place}"])
        self.done, self.history = checkpoint.epoch, list(checkpoint.state["history"])
