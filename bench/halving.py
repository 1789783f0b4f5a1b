"""What successive halving saves on a real table: the compute with which it comes to the full search's best score.

Both draw the same points at random, in the same order. The full search learns the first FULL of them to their end;
halving goes on with further ones until it has found as good a one, and every epoch of those that it gives up counts. A
round is another division by songs, and other points.
"""

import random
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from bench import songs
from bench.measurement import Measurement, compare
from bench.songs import KIND
from bench.training import Silence
from shared import search_space, tuning
from shared.kinds import KINDS
from shared.tuning_params import Halving
from worker import device, evaluation, kinds, sampling, training
from worker.kinds.protocol import Prepared
from worker.preparation import Examples
from worker.rungs import GivenUp, Rungs
from worker.sampling import Tried

NEEDS = "ETUDE_BENCH_SONGS"
FULL, AT_MOST = 30, 120
METRIC = "log_loss"

Json = dict[str, Any]


class Watch(Silence):
    """A trial's watch, which gives up at a rung."""

    def __init__(self, rungs: Rungs | None) -> None:
        self.rungs, self.done = rungs, 0

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        self.done = int(epochs[-1]["epoch"])
        if self.rungs is not None:
            self.rungs.see(epochs, total)

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None if self.rungs is None else self.rungs.next_after(epoch, total)


@dataclass
class Search:
    """Trials of one division, and what they have cost: multiplications of all epochs."""

    examples: Examples
    asked: Any  # Any: the kind's own TuneParams
    halving: Halving | None
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.tried: list[Tried] = []
        self.draw = partial(search_space.draw, self.asked.space, tuning.fixed(self.asked))
        self.source = random.Random(self.asked.seed)

    def step(self) -> float | None:
        """One trial more; what it comes to, or None where it was given up."""
        number, axes = len(self.tried), {}
        pick = search_space.randomly(self.source)

        def note(name: str, axis: sampling.Axis) -> Any:  # Any: JSON
            axes[name] = pick(name, axis)
            return axes[name]

        self.draw(note)
        params = tuning.training(self.asked, KINDS[KIND], self.draw(sampling.picked(axes)))
        prepared = songs.prepare(self.examples, params)  # type: ignore[arg-type]
        watch, value = Watch(self._rungs(number, axes)), None
        with suppress(GivenUp):
            value = _learn(prepared, params, watch)
        self.spent += watch.done * len(prepared.train.x) * sum(_sizes(prepared, params))
        seen = {} if watch.rungs is None else watch.rungs.seen
        self.tried.append(Tried(number, axes, True, value, value is None, seen))
        return value

    def _rungs(self, number: int, axes: Json) -> Rungs | None:
        halving = self.halving
        if halving is None:
            return None

        def is_hopeless(seen: dict[int, float], least_epochs: int) -> bool:
            mine = Tried(number, axes, False, rungs=seen)
            return sampling.is_hopeless(
                [*self.tried, mine], self.draw, number, halving=halving, least_epochs=least_epochs
            )

        return Rungs(halving, is_hopeless, seen={})


def _sizes(prepared: Prepared, params: Any) -> list[int]:  # Any: the kind's own TrainParams
    """The weights of each layer."""
    widths = [prepared.train.x.shape[1], *(layer.units for layer in params.hidden), prepared.train.y.shape[1]]
    return [a * b for a, b in pairwise(widths)]


def _learn(prepared: Prepared, params: Any, watch: Watch) -> float:  # Any: the kind's own TrainParams
    kind = kinds.find(KIND)
    network, objective = kind.model.describe(prepared, params)
    fitted = training.fit(
        network, objective, params, train=prepared.train, validation=prepared.validation, watch=watch, checkpoint=None
    )
    outputs = evaluation.answers(network, fitted.weights, prepared)
    assert prepared.validation is not None
    value: float = kind.metrics.evaluate(prepared.target, prepared.validation.y, outputs)[METRIC]["value"]
    return value


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    columns = songs.read()
    pairs, notes = [], []
    for seed in range(rounds):
        asked = (
            KINDS[KIND]
            .ACTIONS["tune"]
            .model_validate({"metric": METRIC, "seed": seed, "train": {"seed": seed, "baselines": False}})
        )
        examples = songs.load(columns, asked.train)
        full = Search(examples, asked, None)
        values = [value for value in (full.step() for _ in range(FULL)) if value is not None]
        halved, best = Search(examples, asked, asked.halving), float("inf")
        while best > min(values) and len(halved.tried) < AT_MOST:
            best = min(best, halved.step() or float("inf"))
        pairs.append((halved.spent, full.spent))
        reached = f"{best:.4f} after {len(halved.tried)}"
        notes.append(f"{min(values):.4f} of {FULL}, {reached}{'' if best <= min(values) else ' (not reached)'}")
    note = f"{METRIC} on validation, multiplications of all epochs: " + "; ".join(notes)
    name = "compute with which successive halving comes to the full search's best"
    return [compare(name, pairs, unit="", bar="≤ 0.35", note=note)]
