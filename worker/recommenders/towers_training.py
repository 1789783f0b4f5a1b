"""Trains the networks that rank: each listener's history is hidden in part, and what is hidden is to be found.

All of what a step hides is asked for at once, among all items but those it was read from (a full softmax).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from shared.errors import JobFailed
from shared.training_params import PlateauDecay
from worker import optimizers
from worker.private.plan import Plan
from worker.recommenders import towers_batches
from worker.recommenders.histories import Histories
from worker.recommenders.towers import Towers
from worker.recommenders.towers_batches import Batch
from worker.recommenders.towers_network import Network
from worker.recommenders.towers_network import Settings as Settings
from worker.recommenders.towers_private import PrivateNetwork

Json = dict[str, Any]
Judge = Callable[[Towers], float]
Told = Callable[[dict[str, float]], Any]
ADVICE = "Lower learning_rate, or clip_norm (1.0 is usual)."


@dataclass(frozen=True)
class State:
    """All that a training needs to go on as if nothing had happened; `said` is JSON."""

    arrays: dict[str, np.ndarray]
    said: Json


@dataclass(frozen=True)
class Fitted:
    """What was learned, after how many epochs that was so, and the figures of all epochs that were run."""

    towers: Towers
    epochs: int
    history: list[dict[str, float]]


@dataclass
class Progress:
    """How far a training is, and what it has found so far."""

    done: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    # What a plateau has made of the learning rate, and since when it waits for something better.
    factor: float = 1.0
    waits_since: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    given: Histories,
    features: sparse.csr_matrix | None,
    settings: Settings,
    *,
    judge: Judge | None,
    patience: int,
    told: Told,
    steps: Plan | None = None,
    state: State | None = None,
    save: Callable[[State], Any] | None = None,
) -> Fitted:
    """Train, and keep the best epoch by `judge`, or the last without one; go on from `state`. `steps` are private ones.

    After each epoch `save` takes the state and `told` the figures; within it `told` takes how many epochs are done, as
    a fraction. Raises JobFailed (training_diverged, out_of_memory) and whatever these three raise.
    """
    if steps is None:
        training = _Training(given, features, settings, judge=judge)
    else:
        training = _PrivateTraining(given, settings, steps)
    if state is not None:
        training.restore(state)
    try:
        while training.goes_on(patience):
            figures = training.advance(told)
            if save is not None:
                save(training.state())
            told(figures)
    except tf.errors.ResourceExhaustedError as cause:
        said = "The device has too little memory: use a smaller batch_size, network.embedding or network.hidden."
        raise JobFailed(said, code="out_of_memory") from cause
    return training.fitted()


class _Training:
    """One training under way."""

    def __init__(
        self, given: Histories, features: sparse.csr_matrix | None, settings: Settings, *, judge: Judge | None
    ) -> None:
        self._settings, self._judge = settings, judge
        self._given = _compact(given).weighted(settings.weighting)
        has_content = features is not None and settings.method == "two_tower"
        content = towers_batches.reduced(features) if has_content else None
        self._network: Network = Network(settings, given.listeners, content)
        self._progress, self._best = Progress(), self._network.values()

    def goes_on(self, patience: int) -> bool:
        progress = self._progress
        is_patient = self._judge is None or progress.done - progress.best_epoch < patience
        return is_patient and progress.done < self._settings.epochs

    def advance(self, told: Told) -> dict[str, float]:
        """One epoch; left in its midst, as `told` may, it is as if it had not begun once it is restored."""
        progress, losses, targets = self._progress, 0.0, 0
        settings, params = self._settings, self._settings.training
        steps = towers_batches.count(len(self._given), params.batch_size)
        epoch = towers_batches.draw(
            self._given, params.batch_size, dropout=settings.dropout, seed=params.seed, epoch=progress.done
        )
        for place, batch in enumerate(epoch):
            at = progress.done + place / steps
            losses += self._learn(batch, at) * len(batch.wanted)
            targets += len(batch.wanted)
            told({"epoch": at})
        figures = {"loss": losses / max(1, targets), "learning_rate": self._rate(progress.done)}
        progress.done += 1
        figures["epoch"] = progress.done
        self._keep(figures)
        progress.history.append(figures)
        return figures

    def _learn(self, batch: Batch, at: float) -> float:
        loss = self._network.learn(batch, rate=self._rate(at))
        if not math.isfinite(loss):
            raise _diverged(at)
        return loss

    def _rate(self, at: float) -> float:
        wanted = self._settings.training.learning_rate
        rate = optimizers.rate(self._settings.training, at, epochs=self._settings.epochs)
        return max(rate * self._progress.factor, wanted.minimum) if isinstance(wanted, PlateauDecay) else rate

    def _keep(self, figures: dict[str, float]) -> None:
        """Judge the network as it is, and keep it if it is the best so far; without a judge the last is."""
        progress, value = self._progress, -figures["loss"]
        if self._judge is not None:
            value = figures["validation"] = float(self._judge(self._network.towers()))
        is_better = progress.best_value is None or value > progress.best_value
        self._wait(is_better)
        if is_better:
            progress.best_value = value
        if is_better or self._judge is None:
            progress.best_epoch, self._best = progress.done, self._network.values()

    def _wait(self, is_better: bool) -> None:
        wanted, progress = self._settings.training.learning_rate, self._progress
        if is_better:
            progress.waits_since = progress.done
        elif isinstance(wanted, PlateauDecay) and progress.done - progress.waits_since >= wanted.patience:
            progress.factor, progress.waits_since = progress.factor * wanted.factor, progress.done

    def fitted(self) -> Fitted:
        self._network.assign(self._best)
        return Fitted(self._network.towers(), self._progress.best_epoch, self._progress.history)

    def state(self) -> State:
        arrays = {f"now.{name}": value for name, value in self._network.everything().items()}
        arrays |= {f"best.{name}": value for name, value in self._best.items()}
        said = {name: value for name, value in vars(self._progress).items() if name != "history"}
        return State(arrays, {**said, "history": [dict(figures) for figures in self._progress.history]})

    def restore(self, state: State) -> None:
        self._network.assign(_named(state.arrays, "now."))
        self._best, self._progress = _named(state.arrays, "best."), Progress(**state.said)
        self._progress.history = [dict(figures) for figures in self._progress.history]


class _PrivateTraining(_Training):
    """As _Training; of the plays it sees what its private steps see, and of these it tells no figure."""

    def __init__(self, given: Histories, settings: Settings, steps: Plan) -> None:
        self._settings, self._judge, self._steps = settings, None, steps
        kept = given.take(np.flatnonzero(given.lengths > 0)).weighted(settings.weighting)
        self._private = PrivateNetwork(settings, kept, steps)
        self._network = self._private
        self._progress, self._best = Progress(), self._network.values()

    def advance(self, told: Told) -> dict[str, float]:
        progress, steps = self._progress, self._steps.steps_an_epoch
        for place in range(steps):
            at = progress.done + place / steps
            if not self._private.step(progress.done * steps + place, rate=self._rate(at)):
                raise _diverged(at)
            told({"epoch": at})
        figures = {"learning_rate": self._rate(progress.done)}
        progress.done += 1
        figures["epoch"] = progress.done
        progress.best_epoch, self._best = progress.done, self._network.values()
        progress.history.append(figures)
        return figures


def _diverged(at: float) -> JobFailed:
    said = f"The loss was no longer a finite number in epoch {int(at) + 1}. {ADVICE}"
    return JobFailed(said, code="training_diverged")


def _compact(given: Histories) -> Histories:
    """Those who have played anything, and the items that anybody has."""
    kept, is_played = given.take(np.flatnonzero(given.lengths > 0)), given.listeners > 0
    places = (np.cumsum(is_played) - 1).astype(np.int32)
    return replace(kept, items=places[kept.items], count=int(is_played.sum()))


def _named(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
