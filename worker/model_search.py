"""Tries models and their settings on what is held out to choose by, and remembers what each came to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from shared.kinds.recommendation import Method, TrainParams
from worker.callbacks import Checkpoint, asked_to_end
from worker.desk import Desk
from worker.kinds.recommendation import metrics, model
from worker.kinds.recommendation.data import Prepared
from worker.kinds.recommendation.metrics import Judged
from worker.kinds.recommendation.model import Candidate
from worker.recommenders import choosing
from worker.recommenders.histories import Histories
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import Task
from worker.recommenders.towers_training import State

Json = dict[str, Any]
# A checkpoint has an array at least.
NONE = {"none": np.zeros(1, np.float32)}


@dataclass
class Board:
    """How far choosing is: what each candidate that was tried came to on validation."""

    tried: list[Json] = field(default_factory=list)
    stopped_by: str | None = None

    def best(self, method: Method | None = None) -> Json | None:
        """The first of the best, of a method or of all."""
        known = [each for each in self.tried if method in (None, each["model"])]
        return max(known, key=lambda each: each["value"], default=None)

    def methods(self) -> list[Method]:
        return list(dict.fromkeys(each["model"] for each in self.tried))

    def value(self, candidate: Candidate) -> float | None:
        """What a candidate has come to; None where it was not tried."""
        for each in self.tried:
            # How long a network learns is found, not asked.
            asked = {name: value for name, value in each["settings"].items() if name != "epochs"}
            if (each["model"], asked) == (candidate.method, candidate.settings):
                return float(each["value"])
        return None


class Enough(Exception):
    """No further candidate is tried."""


def choose(desk: Desk, prepared: Prepared, params: TrainParams) -> Board:
    """Try every method with the settings that may do best, or those for which there is time."""
    desk.enter("choosing")
    learned_from = prepared.split.validation.train
    played = int(np.count_nonzero(learned_from.listeners))
    spaces = {
        method: model.space(params, method, items=played, has_content=prepared.features is not None)
        for method in model.methods(params, learned_from)
    }
    search = _Search(desk, prepared, params, sum(choosing.count(each.ladders, each.begin) for each in spaces.values()))
    try:
        for method, each in spaces.items():
            choosing.choose(each.begin, each.ladders, partial(search.judge, method))
    except Enough:
        search.board.stopped_by = asked_to_end(desk)
    return search.board


class _Search:
    """Candidates on validation, each tried once; what was tried is saved, and found again after a death."""

    def __init__(self, desk: Desk, prepared: Prepared, params: TrainParams, expected: int) -> None:
        self.desk, self.prepared, self.params, self.expected = desk, prepared, params, expected
        self.last = desk.checkpoints.last(desk)
        self.board = Board([] if self.last is None else list(self.last.state["tried"]))

    def judge(self, method: Method, settings: Json) -> float:
        """What a method with these settings comes to. Raises Enough when nothing further shall be tried."""
        candidate = Candidate(method, settings)
        known = self.board.value(candidate)
        if known is not None:
            return known
        # One is needed, whatever is asked.
        if self.board.tried and asked_to_end(self.desk) is not None:
            raise Enough
        if method in model.NETWORKS:
            candidate, value = self._learn_epochs(candidate)
        else:
            value = self._value(
                fit(self.desk, candidate, self.prepared.split.validation.train, self.prepared, self.params)
            )
        said = {"model": method, "settings": candidate.settings, "metric": self.params.metric, "value": value}
        self.board.tried.append(said)
        self._tell({self.params.metric: value})
        if self.desk.is_checkpoint_due():
            self.desk.save(Checkpoint(len(self.board.tried), NONE, {"tried": self.board.tried}))
        return value

    def _value(self, fitted: Recommender) -> float:
        return metrics.judge(fitted, self.prepared.split.validation, check=self.desk.check).mean(self.params.metric)

    def _learn_epochs(self, candidate: Candidate) -> tuple[Candidate, float]:
        """A network learns until it does no better on validation; with as many epochs it will learn again."""
        learned = model.fit_network(
            candidate, self.prepared.split.validation.train, self.prepared.features, self.params,
            told=self._tell_epoch, judge=self._value, state=self._state_of(candidate), save=self._save(candidate),
        )  # fmt: skip
        found = Candidate(candidate.method, {**candidate.settings, "epochs": learned.epochs})
        return found, self._value(_extended(learned.towers, found, self.prepared, lambda done: self.desk.check()))

    def _state_of(self, candidate: Candidate) -> State | None:
        """How far this network was when an earlier attempt was saved."""
        network = {} if self.last is None else self.last.state.get("network", {})
        if self.last is None or network.get("model") != candidate.method:
            return None
        return State(self.last.arrays, network["said"])

    def _save(self, candidate: Candidate) -> Callable[[State], None]:
        def save(state: State) -> None:
            if self.desk.is_checkpoint_due():
                said = {"tried": self.board.tried, "network": {"model": candidate.method, "said": state.said}}
                self.desk.save(Checkpoint(len(self.board.tried), state.arrays, said))

        return save

    def _tell_epoch(self, figures: dict[str, float]) -> None:
        self.desk.check()
        self.desk.heart.move()
        # Within an epoch it is how far that is alone.
        if "learning_rate" in figures:
            self._tell({name: figures[name] for name in ("epoch", "loss", "validation") if name in figures})

    def _tell(self, figures: dict[str, float]) -> None:
        done, best = len(self.board.tried), self.board.best()
        told = figures if best is None else {**figures, "best": best["value"]}
        self.desk.report_models(done, max(done, self.expected), metrics=told)


def fit(desk: Desk, candidate: Candidate, given: Histories, prepared: Prepared, params: TrainParams) -> Recommender:
    """A candidate that has learned from some histories."""

    def told(done: float) -> None:
        desk.check()
        desk.heart.move()

    fitted = model.fit(candidate, given, prepared.features, params, told=told)
    return _extended(fitted, candidate, prepared, told)


def _extended(
    fitted: Recommender, candidate: Candidate, prepared: Prepared, told: Callable[[float], Any]
) -> Recommender:
    """As it is served: new items have a place by their content."""
    return prepared.newcomers.extend(fitted, candidate.settings.get(model.NEW_ITEMS, 1.0), told)


def judge(desk: Desk, best: Json | None, task: Task, prepared: Prepared, params: TrainParams) -> Judged:
    """The best settings of a method, learned from and judged on a task."""
    assert best is not None
    fitted = fit(desk, Candidate(best["model"], best["settings"]), task.train, prepared, params)
    return metrics.judge(fitted, task, check=desk.check)
