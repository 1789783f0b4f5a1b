"""What is drawn next, and what is given up, as Optuna answers it from trials that our rows tell."""

import random
from functools import partial
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared import search_space
from shared.search_space import Space
from shared.tuning_params import Halving
from worker import sampling
from worker.sampling import Tried

SPACE = TypeAdapter(Space).validate_python(
    {
        "rate": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
        "units": {"type": "int", "low": 4, "high": 64, "step": 8},
        "wide": {"type": "int", "low": 4, "high": 64, "log": True},
        "network": {"type": "choice", "values": [{"type": "a", "n": [1, 2]}, {"type": "b"}, None, 3, "x"]},
        "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"network": [{"type": "b"}]}},
    }
)
DRAW = partial(search_space.draw, SPACE, {})


def ask(tried: list[Tried], *, sampler: str = "tpe", seed: int = 0, better: str = "higher") -> dict[str, Any]:
    return sampling.ask(tried, DRAW, sampler=sampler, better=better, seed=seed)


def ended(number: int, value: float | None, *, sampler: str = "random", **more: Any) -> Tried:
    return Tried(number, ask([], sampler=sampler, seed=number), True, value, **more)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_drawn_point_is_one_of_the_space_and_is_drawn_again(sampler: str) -> None:
    tried = [ended(number, random.Random(number).random()) for number in range(15)]

    for seed in range(20):
        axes = ask(tried, sampler=sampler, seed=seed)
        point = DRAW(sampling.picked(axes))
        assert axes == ask(tried, sampler=sampler, seed=seed)
        assert 0.001 <= point["rate"] <= 1 and (point["units"] - 4) % 8 == 0 and 4 <= point["wide"] <= 64
        assert point["network"] in SPACE["network"].values
        assert ("momentum" in point) == (point["network"] == {"type": "b"})


def test_tpe_goes_where_values_are_better_and_random_does_not() -> None:
    def worth(axes: dict[str, Any]) -> float:
        return -abs(axes["rate"] - 0.02)

    drawn = [ask([], sampler="random", seed=number) for number in range(40)]
    tried = [Tried(number, axes, True, worth(axes)) for number, axes in enumerate(drawn)]
    found = {
        sampler: sorted(abs(ask(tried, sampler=sampler, seed=seed)["rate"] - 0.02) for seed in range(100, 140))[20]
        for sampler in ("tpe", "random")
    }

    assert found["tpe"] < found["random"] / 2


def test_lower_is_better_where_the_metric_says_so() -> None:
    drawn = [ask([], sampler="random", seed=number) for number in range(40)]
    tried = [Tried(number, axes, True, axes["rate"]) for number, axes in enumerate(drawn)]

    low, high = (
        sorted(ask(tried, seed=seed, better=better)["rate"] for seed in range(20))[10] for better in ("lower", "higher")
    )

    assert low < high / 3


def test_trials_that_run_or_failed_do_not_stop_the_next_draw() -> None:
    tried = [
        *(ended(number, 0.5) for number in range(12)),
        ended(12, None),
        ended(13, None, is_given_up=True, rungs={3: 0.7}),
        Tried(14, ask([], seed=14), False),
        Tried(15, {}, False),
    ]

    assert set(ask(tried)) >= {"rate", "units", "wide", "network"}


def compare(losses: list[float], mine: float, *, factor: int = 3) -> bool:
    """Whether a trial with this loss at the first rung is given up beside others."""
    others = [ended(number, 0.5, rungs={4: loss}) for number, loss in enumerate(losses)]
    running = Tried(99, ask([], seed=99), False, rungs={4: mine})
    return sampling.is_hopeless([*others, running], DRAW, 99, halving=Halving(factor=factor), least_epochs=4)


def test_the_best_third_at_a_rung_goes_on() -> None:
    losses = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]

    assert not compare(losses, 0.05)
    assert not compare(losses, 0.25)
    assert compare(losses, 0.35)
    assert compare(losses, 0.9)
    assert not compare(losses, 0.35, factor=2)


def test_the_first_at_a_rung_goes_on() -> None:
    assert not compare([], 0.9)


def test_at_a_later_rung_only_those_that_came_as_far_are_compared() -> None:
    others = [ended(number, None, is_given_up=True, rungs={4: 0.1}) for number in range(8)]
    far = [ended(20, 0.5, rungs={4: 0.2, 12: 0.5})]
    running = Tried(99, ask([], seed=99), False, rungs={4: 0.05, 12: 0.4})
    worse = Tried(99, running.axes, False, rungs={4: 0.05, 12: 0.6})

    for mine, is_hopeless in ((running, False), (worse, True)):
        found = sampling.is_hopeless([*others, *far, mine], DRAW, 99, halving=Halving(factor=3), least_epochs=4)
        assert found == is_hopeless


def test_rungs_lie_a_factor_apart() -> None:
    assert sampling.rungs(4, 3, 200) == [4, 12, 36, 108]
    assert sampling.rungs(10, 2, 9) == []
