"""How well lists find what real listeners played: the model that a training keeps, and its networks, beside EASE.

Each round divides the plays anew, 64 % to learn from, 16 % to choose by, 20 % to judge on. Either side chooses by
validation alone, learns from the 80 % with what it has chosen, and is judged once.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench import plays
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.peers import ease
from bench.training import Silence
from shared.kinds.recommendation import TrainParams
from worker import device, model_search
from worker.interactions.stored import Interactions
from worker.kinds.recommendation import data, model
from worker.recommenders.histories import Histories
from worker.recommenders.splits import Split

NEEDS = "ETUDE_BENCH_PLAYS"
STRENGTHS = (12.5, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0)
LEASTS = (1, 2, 3)
CHOSEN_BY = "NDCG@100"

Json = dict[str, Any]


class Desk(Silence):
    """What a search for the best model is told and asks, answered as where nothing happens."""

    def __init__(self) -> None:
        self.heart = SimpleNamespace(move=lambda: None)
        self.checkpoints = SimpleNamespace(last=lambda desk: None)

    def enter(self, stage: str) -> None: ...

    def report_models(self, done: int, total: int, *, metrics: Json) -> None: ...


@dataclass(frozen=True)
class Found:
    """What was chosen on validation, in words, and what it comes to on the test."""

    said: str
    figures: dict[str, float]


def measure(rounds: int) -> list[Measurement]:
    """A round is a division of the same plays: they differ by chance alone, and no more than chance."""
    device.prepare()
    all_plays = plays.read()
    found = [compete(all_plays, TrainParams(split="random", seed=seed)) for seed in range(rounds)]
    defaults, networks, peers = zip(*found, strict=True)
    rows = []
    for side, name, bar in ((defaults, "the default", "≥ 1.02"), (networks, "the best network", "≥ 0.97")):
        note = f"chosen on validation: {_counted(side)}; EASE: {_counted(peers)}"
        for metric in plays.METRICS:
            pairs = [(our.figures[metric], their.figures[metric]) for our, their in zip(side, peers, strict=True)]
            rows.append(compare(f"{metric} of {name}, against EASE tuned", pairs, unit="", bar=bar, note=note))
    return rows


def compete(all_plays: Interactions, params: TrainParams) -> tuple[Found, Found, Found]:
    """The default, the best network and EASE on one division of the plays."""
    desk: Any = Desk()  # Any: a Desk of the worker has a database
    prepared = data.prepare(all_plays, params)
    board = model_search.choose(desk, prepared, params)
    networks = [best for method in model.NETWORKS if (best := board.best(method)) is not None]
    if not networks:
        raise MeasurementBroken("expected networks among the candidates, received none: they would take too long")

    def judged(best: Json | None) -> Found:
        assert best is not None
        found = model_search.judge(desk, best, prepared.split.test, prepared, params)
        settings = " ".join(
            f"{value:g}" if isinstance(value, float) else str(value) for value in best["settings"].values()
        )
        return Found(f"{best['model']} {settings}", {name: found.mean(each) for name, each in plays.METRICS.items()})

    return judged(board.best()), judged(max(networks, key=lambda each: each["value"])), tuned(prepared.split)


def tuned(split: Split) -> Found:
    """EASE with what does best on validation, learned anew from all but the test."""
    task, values = split.validation, {}
    for least, l2, scores in ease.grid(_played(task.train), STRENGTHS, LEASTS):
        values[least, l2] = plays.judge(scores[task.users], task)[CHOSEN_BY]
    least, l2 = max(values, key=lambda each: values[each])
    test = split.test
    spectrum = ease.decompose(_played(test.train), least=least)
    scores = ease.scores(spectrum, l2, count=test.train.count)
    return Found(f"l2 {l2:g}, items of {least} or more", plays.judge(scores[test.users], test))


def _played(given: Histories) -> np.ndarray:
    played = np.zeros((len(given), given.count), bool)
    played[given.users, given.items] = True
    return played


def _counted(side: tuple[Found, ...]) -> str:
    said = [each.said for each in side]
    return ", ".join(f"{each} ({said.count(each)}×)" for each in dict.fromkeys(said))
