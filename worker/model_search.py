"""Tries models and their settings on what is held out to choose by, and remembers what each came to."""

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

Json = dict[str, Any]


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
        asked = {"model": candidate.method, "settings": candidate.settings}
        return next((each["value"] for each in self.tried if asked.items() <= each.items()), None)


class Enough(Exception):
    """No further candidate is tried."""


def choose(desk: Desk, prepared: Prepared, params: TrainParams) -> Board:
    """Try every method with the settings that may do best, or those for which there is time."""
    desk.enter("choosing")
    played = int(np.count_nonzero(prepared.split.validation.train.listeners))
    spaces = {method: model.space(params, method, items=played) for method in model.methods(params)}
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
        last = desk.checkpoints.last(desk)
        self.board = Board([] if last is None else list(last.state["tried"]))

    def judge(self, method: Method, settings: Json) -> float:
        """What a method with these settings comes to. Raises Enough when nothing further shall be tried."""
        candidate = Candidate(method, settings)
        known = self.board.value(candidate)
        if known is not None:
            return known
        # One is needed, whatever is asked.
        if self.board.tried and asked_to_end(self.desk) is not None:
            raise Enough
        task = self.prepared.split.validation
        fitted = fit(self.desk, candidate, task.train, self.params)
        value = metrics.judge(fitted, task, check=self.desk.check).mean(self.params.metric)
        said = {"model": method, "settings": settings, "metric": self.params.metric, "value": value}
        self.board.tried.append(said)
        self._tell(value)
        return value

    def _tell(self, value: float) -> None:
        done, best = len(self.board.tried), self.board.best()
        figures = {self.params.metric: value, "best": value if best is None else best["value"]}
        self.desk.report_models(done, max(done, self.expected), metrics=figures)
        if self.desk.is_checkpoint_due():
            self.desk.save(Checkpoint(done, {"none": np.zeros(1, np.float32)}, {"tried": self.board.tried}))


def fit(desk: Desk, candidate: Candidate, given: Histories, params: TrainParams) -> Recommender:
    def told(share: float) -> None:
        desk.check()
        desk.heart.move()

    return model.fit(candidate, given, params, told=told)


def judge(desk: Desk, best: Json | None, task: Task, params: TrainParams) -> Judged:
    assert best is not None
    fitted = fit(desk, Candidate(best["model"], best["settings"]), task.train, params)
    return metrics.judge(fitted, task, check=desk.check)
