"""The gate before an alias moves: no version passes that is worse than another on the same held-out rows."""

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from shared.errors import Fault, InvalidRequest, NotAllowedNow
from shared.kinds import KINDS

Json = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What a version comes to on the rows that a newer one has held out; without a value the reason why there is none.

    Rows that it was trained on may stand among them, which flatters it.
    """

    version: str
    value: float | None = None
    rows: int = 0
    reason: str = ""
    # The newer version less this one on the same rows, its 95 % interval, and how likely it is one of chance.
    difference: float | None = None
    interval: list[float] | None = None
    p: float | None = None


def demand_not_worse(
    candidate: Row[Any], rival: Row[Any] | None, kind: str, require: Json, measured: Measured | None
) -> None:
    """Raise NotAllowedNow unless the candidate is at least as good as its rival; everything passes where there is none.

    `measured` is what a rival came to that was trained on other rows.
    """
    metric, directions = require["metric"], KINDS[kind].METRICS
    if metric not in directions:
        said = f"expected one of {', '.join(directions)}, received {metric!r}"
        raise InvalidRequest(said, faults=[Fault(said, pointer="/require/metric")])
    if rival is None:
        return
    named = f"{require['not_worse_than']} (version {rival.number})"
    ours = _value(candidate, metric)
    if are_on_same_rows(candidate.lineage, rival.lineage):
        theirs = _value(rival, metric)
    else:
        theirs = _elsewhere(candidate, rival, named, measured)
    if ours < theirs if directions[metric] == "higher" else ours > theirs:
        said = f"Version {candidate.number} has {metric} {ours:.4f}, {named} has {theirs:.4f}"
        raise NotAllowedNow(f"{said}: the alias stays where it is.", code="gate_refused")


def are_on_same_rows(lineage: Json, other: Json) -> bool:
    """Whether two trainings held out the same rows: of the same content, divided alike."""
    return _held_out(lineage) == _held_out(other)


def _held_out(lineage: Json) -> Json:
    split = lineage.get("split") or {}
    drawn = {"seed": lineage.get("seed"), "validation": lineage.get("params", {}).get("validation")}
    # The last rows are the same whatever the seed.
    how = {} if split.get("by") == "last_rows" else drawn
    form = {"representation": lineage["representation"]} if "representation" in lineage else {}
    return {"dataset": lineage.get("dataset", {}).get("sha256"), "split": split, **how, **form}


def value_of(metrics: Json, metric: str) -> float | None:
    """What a version comes to on what it was judged on: its test, where it has one beside what it was chosen by."""
    held_out: Json = metrics.get("test") or metrics.get("validation") or {}
    value: float | None = held_out.get(metric, {}).get("value")
    return value


def _value(version: Row[Any], metric: str) -> float:
    value = value_of(version.metrics, metric)
    if value is None or not math.isfinite(value):
        raise NotAllowedNow(f"Version {version.number} has no validation {metric} to compare.", code="gate_refused")
    return float(value)


def _elsewhere(candidate: Row[Any], rival: Row[Any], named: str, measured: Measured | None) -> float:
    """What a rival that held out other rows comes to on the candidate's."""
    if measured is not None and measured.version != rival.id:
        said = f"{named} took the place of the version that was measured meanwhile: train again"
        raise NotAllowedNow(f"{said}, or move the alias yourself.", code="gate_refused")
    if measured is None:
        raise NotAllowedNow(
            f"Version {candidate.number} and {named} were measured on different rows, which says nothing: train both "
            "on the same dataset with the same split, have a training promote what it makes, or ask for no gate.",
            code="gate_refused",
        )
    if measured.value is None:
        raise NotAllowedNow(f"{named} cannot be measured on the held-out rows: {measured.reason}", code="gate_refused")
    return measured.value
