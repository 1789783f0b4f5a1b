"""Which settings do best: one after the other is moved, and further than was thought of while that goes on helping."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Beyond an end of what is tried anyway.
FURTHER = 5


@dataclass(frozen=True)
class Ladder:
    """Values of a setting, rising; beyond an end the next is so many times as much, or there is none."""

    name: str
    values: tuple[Any, ...]
    step: float | None = None


def count(ladders: Sequence[Ladder], begin: Json) -> int:
    """How many settings are tried at least."""
    return 1 + sum(sum(value != begin[ladder.name] for value in ladder.values) for ladder in ladders)


def choose(begin: Json, ladders: Sequence[Ladder], judge: Callable[[Json], float]) -> Json:
    """The settings that `judge` finds best, higher is better, of those on the way; among equals the first.

    `judge` is asked about the same settings again, and knows what it has said.
    """
    best = begin
    judge(best)
    for ladder in ladders:
        best = _climb(best, ladder, judge)
    return best


def _climb(best: Json, ladder: Ladder, judge: Callable[[Json], float]) -> Json:
    tried = {value: judge({**best, ladder.name: value}) for value in _from(best[ladder.name], ladder.values)}
    for _ in range(FURTHER):
        found = max(tried, key=lambda value: tried[value])
        further = _beyond(found, tried, ladder)
        if further is None:
            break
        tried[further] = judge({**best, ladder.name: further})
    return {**best, ladder.name: max(tried, key=lambda value: tried[value])}


def _from(first: Any, values: Sequence[Any]) -> list[Any]:  # Any: a setting
    return [first, *(value for value in values if value != first)]


def _beyond(found: Any, tried: Json, ladder: Ladder) -> Any:  # Any: a setting, or None
    if ladder.step is None:
        return None
    if found == max(tried):
        return found * ladder.step
    return found / ladder.step if found == min(tried) else None
