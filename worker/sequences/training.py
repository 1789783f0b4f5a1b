"""Trains a network of sequences: epochs of windows, a look at what is held out, the best kept, a stop in time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from shared.errors import JobFailed
from shared.sequence_params import SequenceTraining
from worker import callbacks, optimizers
from worker.callbacks import Checkpoint, Watch
from worker.fitted import Fitted
from worker.sequences import streams
from worker.sequences.learner import Learner
from worker.sequences.spec import SequenceSpec, draw
from worker.sequences.streams import JUDGED_ROWS, Layout, Steps

# What an epoch goes through: the pieces in the order and the keys of that epoch, counted from 0.
Epoch = Callable[[int], Sequence[Steps]]
ADVICE = "Lower learning_rate, or clip_norm (1.0 is usual)."


@dataclass
class Progress:
    """How far a training is, and what it has found so far."""

    done: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    best: dict[str, np.ndarray] = field(default_factory=dict)

    def as_state(self) -> dict[str, object]:
        return {"history": list(self.history), "best_loss": self.best_loss, "best_epoch": self.best_epoch}


def fit(
    spec: SequenceSpec,
    params: SequenceTraining,
    *,
    epoch: Epoch,
    epochs: int,
    validation: Sequence[Steps],
    watch: Watch,
    checkpoint: Checkpoint | None,
) -> Fitted:
    """Train. Raises JobFailed (training_diverged, out_of_memory), and whatever `watch.check` raises."""
    try:
        return _Training(spec, params, epoch=epoch, epochs=epochs, validation=validation, watch=watch).run(checkpoint)
    except tf.errors.ResourceExhaustedError as cause:
        said = "The device has too little memory: use a smaller batch_size, window or network."
        raise JobFailed(said, code="out_of_memory") from cause


class _Training:
    """One training under way."""

    def __init__(
        self,
        spec: SequenceSpec,
        params: SequenceTraining,
        *,
        epoch: Epoch,
        epochs: int,
        validation: Sequence[Steps],
        watch: Watch,
    ) -> None:
        self.spec, self.params, self.epoch, self.epochs, self.watch = spec, params, epoch, epochs, watch
        gpus = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
        half = params.precision == "bfloat16" or (params.precision == "auto" and bool(gpus))
        weights = draw(spec, seed=params.seed)
        self.learner = Learner(spec, weights, params, devices=gpus, half=half)
        # Of little music fewer rows: in each there is to be a window of it at least, from which something follows.
        self.rows = max(1, min(params.batch_size, sum(map(len, epoch(0))) // params.window))
        if params.batch_size % self.learner.shares == 0:
            self.rows = -(-self.rows // self.learner.shares) * self.learner.shares
        self.held_out = self._lay_out(validation) if validation else None
        self.progress = Progress()

    def _lay_out(self, pieces: Sequence[Steps]) -> Layout:
        return streams.whole(pieces, self.spec, rows=JUDGED_ROWS, window=self.params.window)

    def run(self, checkpoint: Checkpoint | None) -> Fitted:
        if checkpoint is not None:
            self._restore(checkpoint)
            # Told again: the last beat before the break may not have got through.
            self.watch.report(self.progress.history, total=self.epochs)
        progress = self.progress
        stopped_by = "early_stopping" if self._is_out_of_patience() else None
        while progress.done < self.epochs and stopped_by is None:
            self._advance()
            self.watch.report(progress.history[-1:], total=self.epochs)
            if self.watch.is_checkpoint_due():
                self.watch.save(self._checkpoint())
            self.watch.check()
            stopped_by = "early_stopping" if self._is_out_of_patience() else callbacks.asked_to_end(self.watch)
        return self._fitted(stopped_by)

    def _advance(self) -> None:
        """One epoch; left in its midst, as `watch.check` may, it is as if it had not begun."""
        number, params = self.progress.done, self.params
        layout = streams.cut(self.epoch(number), self.spec, rows=self.rows, window=params.window)
        state, losses = self.learner.first_state(self.rows), []
        for place in range(len(layout)):
            at = number + place / len(layout)
            rate = optimizers.rate(params, at, epochs=self.epochs)
            seed = (params.seed * 1_000_003 + number * len(layout) + place) % 2**30
            loss, state = self.learner.learn(layout, place, state, rate=rate, seed=seed)
            if not math.isfinite(loss):
                said = f"The loss was no longer a finite number in epoch {number + 1}, step {place + 1}. {ADVICE}"
                raise JobFailed(said, code="training_diverged")
            losses.append(loss * layout.weights[place].sum())
            self.watch.check()
        figures = {"epoch": number + 1, "loss": float(sum(losses) / layout.weights.sum())}
        figures["learning_rate"] = float(optimizers.rate(params, number, epochs=self.epochs))
        self.progress.done += 1
        self._judge(figures)
        self.progress.history.append(figures)

    def _judge(self, figures: dict[str, float]) -> None:
        """Look at what is held out, and keep the weights if they are the best; without any, the last are."""
        progress, loss = self.progress, -float(self.progress.done)
        if self.held_out is not None:
            losses, hits = self.learner.judge(self.held_out)
            tokens = self.held_out.weights.sum() * self.spec.fields
            loss = float(losses.sum(dtype=np.float64) / tokens)
            figures |= {"val_loss": loss, "val_accuracy": float(hits.sum(dtype=np.float64) / tokens)}
            self.watch.check()
        least = self.params.stopping.min_delta if self.params.stopping else 0.0
        if loss < progress.best_loss - least:
            progress.best_loss, progress.best_epoch = loss, progress.done
            progress.best = {name: variable.numpy() for name, variable in self.learner.average.items()}

    def _is_out_of_patience(self) -> bool:
        stopping, progress = self.params.stopping, self.progress
        if stopping is None or self.held_out is None:
            return False
        return progress.done - progress.best_epoch >= stopping.patience

    def _fitted(self, stopped_by: str | None) -> Fitted:
        progress, stopping = self.progress, self.params.stopping
        best = progress.best_epoch if self.held_out is not None else None
        weights = progress.best
        if stopping is not None and not stopping.restore_best and stopped_by not in callbacks.CUT_SHORT:
            weights = {name: variable.numpy() for name, variable in self.learner.average.items()}
        return Fitted(weights, progress.history, progress.done, best, stopped_by)

    def _checkpoint(self) -> Checkpoint:
        arrays = {name: np.asarray(variable.numpy()) for name, variable in self.learner.variables.items()}
        arrays |= {f"best.{name}": value for name, value in self.progress.best.items()}
        return Checkpoint(self.progress.done, arrays, dict(self.progress.as_state()))

    def _restore(self, checkpoint: Checkpoint) -> None:
        for name, variable in self.learner.variables.items():
            variable.assign(checkpoint.arrays[name])
        best = {name: checkpoint.arrays[f"best.{name}"] for name in self.learner.weights}
        state = checkpoint.state
        self.progress = Progress(
            checkpoint.epoch, list(state["history"]), state["best_loss"], state["best_epoch"], best
        )
