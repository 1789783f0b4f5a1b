"""How two trainings that should be one differ: their arrays, their figures, and what they were made with."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

# So many of the figures that differ are told, those that differ most first.
TOLD = 20
# The parts of a lineage that say with what, and on which machine; the rest names the job.
CIRCUMSTANCES = ("code", "machine", "params", "seed", "split")

Json = dict[str, Any]


def of_arrays(then: bytes, now: bytes) -> Json:
    """How many numbers of two safetensors files differ, and by how much at most; nothing of files of another form."""
    try:
        before, after = load(then), load(now)
    except SafetensorError:
        return {}
    shapes = [{name: array.shape for name, array in arrays.items()} for arrays in (before, after)]
    if shapes[0] != shapes[1]:
        return {"numbers": sum(array.size for array in before.values()), "is_another_network": True}
    apart = [np.abs(_numbers(before[name]) - _numbers(after[name])) for name in before]
    return {
        "numbers": sum(each.size for each in apart),
        "different_numbers": sum(int((each != 0).sum()) for each in apart),
        "largest_difference": max((float(each.max(initial=0.0)) for each in apart), default=0.0),
    }


def _numbers(array: np.ndarray) -> np.ndarray:
    return np.nan_to_num(array.astype(np.float64))


def of_values(then: Json, now: Json) -> Json:
    """How many figures of two nested objects there are, how many differ, and those that differ most."""
    before, after = dict(_leaves(then)), dict(_leaves(now))
    names = sorted({*before, *after})
    apart = [
        {"name": name, "then": before.get(name), "now": after.get(name)}
        for name in names
        if name not in before or name not in after or before[name] != after[name]
    ]
    return {"compared": len(names), "different": len(apart), "largest": sorted(apart, key=_away, reverse=True)[:TOLD]}


def of_circumstances(then: Json, now: Json) -> list[Json]:
    """What was otherwise by the two lineages: `what` with its value `then` and `now`."""
    before, after = (dict(_leaves(_circumstances(lineage))) for lineage in (then, now))
    return [
        {"what": name, "then": before.get(name), "now": after.get(name)}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def _circumstances(lineage: Json) -> Json:
    learned_from = [each.get("sha256") for each in (lineage.get("dataset") or {}, *lineage.get("beside", ()))]
    return {**{name: lineage.get(name) for name in CIRCUMSTANCES}, "dataset": {"sha256": learned_from}}


def _leaves(said: Any, place: str = "") -> Iterator[tuple[str, Any]]:  # Any: JSON
    """Every value of nested objects and lists (in memory tuples), by its place: `validation.accuracy.value`."""
    if not isinstance(said, dict | list | tuple):
        yield place, said
        return
    members = said.items() if isinstance(said, dict) else enumerate(said)
    for name, value in members:
        yield from _leaves(value, f"{place}.{name}" if place else str(name))


def _away(figure: Json) -> float:
    both = (figure["then"], figure["now"])
    if all(isinstance(value, int | float) for value in both):
        return abs(float(both[0]) - float(both[1]))
    return float("inf")
