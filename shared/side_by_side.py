"""Versions of a model beside each other: their metrics, and only what differs of how they were made."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared import gate
from shared.kinds import KINDS

Json = dict[str, Any]
Found = Any  # a row of versions, or what builtin makes like one


def metrics(versions: Sequence[Found], kind: str) -> list[Json]:
    """Each metric of each part that any of them has, with every one's value and interval, and which is best.

    `best` is null where the values are of different rows, or fewer than two: they say nothing of each other then.
    """
    are_comparable = on_same_rows(versions)
    found = []
    for part, name in dict.fromkeys(pair for version in versions for pair in _named(version.metrics)):
        values = [_of(version, part, name) for version in versions]
        direction = KINDS[kind].METRICS.get(name)
        best = _best(values, direction) if are_comparable else None
        found.append({"part": part, "metric": name, "better": direction, "values": values, "best": best})
    return found


def on_same_rows(versions: Sequence[Found]) -> bool:
    """Whether all of them were judged on the same held-out rows."""
    first, *others = versions
    is_known = bool(first.lineage.get("dataset", {}).get("sha256"))
    return is_known and all(gate.are_on_same_rows(first.lineage, other.lineage) for other in others)


def _named(metrics: Json) -> Iterator[tuple[str, str]]:
    for part, said in metrics.items():
        if isinstance(said, dict):
            yield from ((part, name) for name, figure in said.items() if isinstance(figure, dict) and "value" in figure)


def _of(version: Found, part: str, name: str) -> Json:
    said = version.metrics.get(part, {}).get(name, {})
    return {"version": version.number, "value": said.get("value"), "interval": said.get("interval")}


def _best(values: Sequence[Json], direction: str | None) -> int | None:
    known = [each for each in values if each["value"] is not None]
    if direction is None or len(known) < 2:
        return None
    choose = max if direction == "higher" else min
    best: int = choose(known, key=lambda each: each["value"])["version"]
    return best


def differences(documents: Sequence[Json]) -> dict[str, list[Any]]:
    """Of documents alike in form: each place, written `a.b.c`, at which they differ, with what each has there."""
    flat = [dict(_leaves(document)) for document in documents]
    places = dict.fromkeys(place for each in flat for place in each)
    found = {place: [each.get(place) for each in flat] for place in places}
    return {place: values for place, values in found.items() if any(value != values[0] for value in values)}


def _leaves(document: Json, under: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", value
