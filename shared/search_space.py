"""What a search may try: a dimension for each param that is open, some of them only while another has a certain value.

A param is named by its path, as in `learning_rate` or `network.embedding`. Points are drawn through `pick`, so that a
random draw at the door and the sampler of a study meet the same space.
"""

import copy
import math
import random
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.schema import Closed, Float, Int

Json = dict[str, Any]
Path = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
# Of a condition: the values of another dimension, or of what is fixed, with which a dimension counts.
When = Annotated[
    dict[Path, Annotated[list[Any], Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=8)
]
LAYERS_AT_MOST = 16


class IntRange(Closed):
    """A whole number, both bounds included."""

    type: Literal["int"]
    low: Annotated[Int, Field(ge=0, le=2**31)]
    high: Annotated[Int, Field(ge=0, le=2**31)]
    # Drawn by its logarithm: as often between 16 and 32 as between 128 and 256.
    log: bool = False
    step: Annotated[Int, Field(ge=1)] = 1
    when: When | None = None

    @model_validator(mode="after")
    def _has_room(self) -> "IntRange":
        _check_range(self.low, self.high, is_log=self.log)
        if self.log and self.step != 1:
            raise ValueError("expected step or log, received both")
        return self


class FloatRange(Closed):
    """A number, both bounds included."""

    type: Literal["float"]
    low: Annotated[Float, Field(ge=-1e9, le=1e9)]
    high: Annotated[Float, Field(ge=-1e9, le=1e9)]
    log: bool = False
    when: When | None = None

    @model_validator(mode="after")
    def _has_room(self) -> "FloatRange":
        _check_range(self.low, self.high, is_log=self.log)
        return self


class Choice(Closed):
    """One of these values, whatever JSON they are: words, numbers, null, or whole objects such as a network preset."""

    type: Literal["choice"]
    values: Annotated[list[Any], Field(min_length=1, max_length=64)]
    when: When | None = None


Axis = Annotated[IntRange | FloatRange | Choice, Field(discriminator="type")]
LayerField = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")]


class Layers(Closed):
    """A list of layers: how many, and what each is like; `alike` draws once for all of them."""

    type: Literal["layers"]
    count: IntRange
    each: Annotated[dict[LayerField, Axis], Field(min_length=1, max_length=8)]
    alike: bool = False
    when: When | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> "Layers":
        if self.count.high > LAYERS_AT_MOST:
            raise ValueError(f"expected at most {LAYERS_AT_MOST} layers, received up to {self.count.high}")
        return self


Dimension = Annotated[IntRange | FloatRange | Choice | Layers, Field(discriminator="type")]


def in_order(space: Mapping[str, Any]) -> Mapping[str, Any]:
    """The dimensions by name, each after those on which it depends: an object of JSON has no order of its own.

    Raises ValueError where conditions go in a circle.
    """
    graph = {path: sorted(set(dimension.when or ()) & set(space)) for path, dimension in sorted(space.items())}
    try:
        return {path: space[path] for path in TopologicalSorter(graph).static_order()}
    except CycleError as cause:
        raise ValueError(f"expected conditions that do not go in a circle, received {cause.args[1]}") from None


Space = Annotated[dict[Path, Dimension], Field(min_length=1, max_length=40), AfterValidator(in_order)]
Pick = Callable[[str, IntRange | FloatRange | Choice], Any]


def _check_range(low: float, high: float, *, is_log: bool) -> None:
    if low > high:
        raise ValueError(f"expected low up to high, received {low} and {high}")
    if is_log and low <= 0:
        raise ValueError(f"expected a low above 0 with log, received {low}")


def draw(space: Mapping[str, Any], fixed: Json, pick: Pick) -> Json:
    """A point: path to value, of every dimension that counts there."""
    point: Json = {}
    for path, dimension in space.items():
        if dimension.when is None or all(_has(point, fixed, at, known) for at, known in dimension.when.items()):
            point[path] = _layers(path, dimension, pick) if isinstance(dimension, Layers) else pick(path, dimension)
    return point


def _has(point: Json, fixed: Json, path: str, known: list[Any]) -> bool:
    value = point[path] if path in point else at(fixed, path)
    return value in known


def at(fixed: Json, path: str) -> Any:  # Any: JSON
    """What is fixed at a path; None where nothing is."""
    value: Any = fixed
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _layers(path: str, dimension: Layers, pick: Pick) -> list[Json]:
    count = pick(f"{path}.count", dimension.count)
    if dimension.alike:
        layer = {name: pick(f"{path}.{name}", axis) for name, axis in dimension.each.items()}
        return [dict(layer) for _ in range(count)]
    return [
        {name: pick(f"{path}.{place}.{name}", axis) for name, axis in dimension.each.items()} for place in range(count)
    ]


def put(fixed: Json, point: Json) -> Json:
    """The params of a training: what is fixed, with the point's values at their paths."""
    params = copy.deepcopy(fixed)
    for path, value in point.items():
        *outer, last = path.split(".")
        place = params
        for part in outer:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = copy.deepcopy(value)
    return params


def randomly(source: random.Random) -> Pick:
    """Picks evenly, or evenly by the logarithm."""

    def pick(_: str, axis: IntRange | FloatRange | Choice) -> Any:  # Any: JSON
        if isinstance(axis, Choice):
            return source.choice(axis.values)
        if isinstance(axis, FloatRange):
            return _between(source, axis.low, axis.high, is_log=axis.log)
        if axis.log:
            return min(axis.high, max(axis.low, round(_between(source, axis.low, axis.high, is_log=True))))
        return source.randrange(axis.low, axis.high + 1, axis.step)

    return pick


def _between(source: random.Random, low: float, high: float, *, is_log: bool) -> float:
    if not is_log:
        return source.uniform(low, high)
    return min(high, max(low, math.exp(source.uniform(math.log(low), math.log(high)))))
