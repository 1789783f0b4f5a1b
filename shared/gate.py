"""The gate before an alias moves: a version passes that meets all that is required; else it is told all it lacks."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from shared import private_gate
from shared.errors import Fault, InvalidRequest, NotAllowedNow
from shared.kinds import KINDS

Json = dict[str, Any]

LEAKAGE = "leakage_suspected"


@dataclass(frozen=True)
class Measured:
    """What a version comes to on the rows that a newer one has held out; without a value the reason why there is none.

    Rows that it was trained on may stand among them, which flatters it. `difference` is the newer version's value less
    this one's on the same rows, with its 95 % interval and two-sided p; None where the two were not compared in pairs.
    """

    version: str
    value: float | None = None
    rows: int = 0
    reason: str = ""
    # The newer version less this one on the same rows, its 95 % interval, and how likely it is one of chance.
    difference: float | None = None
    interval: Sequence[float] | None = None
    p: float | None = None


@dataclass(frozen=True)
class Asked:
    """What is required of a candidate, and all that is known of it and of the version that it is compared with."""

    candidate: Row[Any]
    rival: Row[Any] | None
    require: Json
    measured: Measured | None
    is_higher_better: bool
    paired: Measured | None = None

    @property
    def difference(self) -> Measured | None:
        """What is known of the two in pairs: from the training that asks, else from an evaluation of both."""
        found = self.measured
        is_of_both = found is not None and self.rival is not None and found.version == self.rival.id
        if found is not None and is_of_both and found.interval is not None and found.difference is not None:
            return found
        return self.paired

    @property
    def named(self) -> str:
        return "" if self.rival is None else f"{self.require['not_worse_than']} (version {self.rival.number})"

    def is_below(self, ours: float, theirs: float) -> bool:
        return ours < theirs if self.is_higher_better else ours > theirs


def demand(
    candidate: Row[Any],
    rival: Row[Any] | None,
    kind: str,
    require: Json,
    measured: Measured | None = None,
    *,
    paired: Measured | None = None,
) -> Json:
    """Raise NotAllowedNow with every reason why the candidate may not pass; return what was required and found.

    `measured` is what a rival came to that was trained on other rows; `paired` their difference as an evaluation has
    told it. Nothing is compared where there is no rival.
    """
    is_higher_better = True
    if require.get("metric") is not None:
        demand_metric(kind, require["metric"], pointer="/require/metric")
        is_higher_better = KINDS[kind].METRICS[require["metric"]] == "higher"
    asked = Asked(candidate, rival, require, measured, is_higher_better, paired)
    faults = [fault for check in CHECKS for fault in check(asked)]
    if faults:
        said = ". ".join(fault.message for fault in faults)
        raise NotAllowedNow(f"{said}. So the alias stays where it is.", code="gate_refused", faults=faults)
    return _outcome(asked)


def demand_metric(kind: str, metric: str, *, pointer: str) -> None:
    """Raise InvalidRequest for a metric that the kind does not have, and name those that it has."""
    known = KINDS[kind].METRICS
    if metric not in known:
        said = f"expected one of {', '.join(known)}, received {metric!r}"
        raise InvalidRequest(said, faults=[Fault(said, pointer=pointer)])


def are_on_same_rows(lineage: Json, other: Json) -> bool:
    """Whether two trainings were judged on the same rows: of the same content, divided alike, or with one test."""
    return _held_out(lineage) == _held_out(other)


def _held_out(lineage: Json) -> Json:
    split = lineage.get("split") or {}
    validation = lineage.get("params", {}).get("validation")
    drawn = {"seed": lineage.get("seed"), "validation": validation}
    if lineage.get("params", {}).get("test") is not None and "test" in split:
        # It has a seed of its own, and a version that has a test is judged by it.
        split = {"test": split["test"]}
        drawn = {"validation": {name: (validation or {}).get(name) for name in ("group", "time")}}
    # The last rows are the same whatever the seed.
    how = {} if split.get("by") == "last_rows" else drawn
    form = {"representation": lineage["representation"]} if "representation" in lineage else {}
    return {"dataset": lineage.get("dataset", {}).get("sha256"), "split": split, **how, **form}


def judged_part(metrics: Json) -> str | None:
    """The part that a version is judged on: its test, where it has one beside what it was chosen by."""
    return next((part for part in ("test", "validation") if metrics.get(part)), None)


def value_of(metrics: Json, metric: str) -> float | None:
    """What a version comes to on what it was judged on."""
    held_out: Json = metrics.get(judged_part(metrics) or "") or {}
    value: float | None = held_out.get(metric, {}).get("value")
    return value


def judged_rows(version: Row[Any]) -> int | None:
    """How many rows a version was judged on, of recordings tracks, of plays listeners; None where nothing says so."""
    split = version.lineage.get("split") or {}
    counts = split.get("tracks") or split
    rows = counts.get(judged_part(version.metrics) or "")
    if isinstance(rows, dict):
        # Plays are divided by listeners; a test tells how it was drawn, too.
        rows = rows.get("listeners", rows.get("rows"))
    return rows if isinstance(rows, int) else None


def has_leakage(version: Row[Any]) -> bool:
    """Whether a training has warned that one thing may stand on both sides of its split."""
    report = version.metrics.get("leakage") or version.lineage.get("leakage") or {}
    return bool(report.get("suspected")) or any(warning.get("code") == LEAKAGE for warning in version.warnings)


def _values(asked: Asked) -> Iterator[Fault]:
    """Its own value, against the one required and the rival's."""
    least, number = asked.require.get("at_least"), asked.candidate.number
    if (least is None and asked.rival is None) or asked.require.get("metric") is None:
        return
    metric, ours = asked.require["metric"], _finite(asked.candidate, asked.require["metric"])
    if ours is None:
        yield _fault("metric", f"Version {number} has no validation {metric} to compare")
        return
    if least is not None and asked.is_below(ours, least):
        bound = "at least" if asked.is_higher_better else "at most"
        yield _fault("at_least", f"Version {number} has {metric} {ours:.4f}, {bound} {least:g} is required")
    if asked.rival is not None:
        yield from _not_worse(asked, asked.rival, ours)


def _not_worse(asked: Asked, rival: Row[Any], ours: float) -> Iterator[Fault]:
    metric, margin = asked.require["metric"], float(asked.require.get("by") or 0.0)
    missing = _cannot_compare(asked, rival)
    theirs = None if missing else _theirs(asked, rival)
    if theirs is None:
        yield _fault("not_worse_than", missing or f"Version {rival.number} has no validation {metric} to compare")
        return
    if asked.is_below(ours, theirs - margin if asked.is_higher_better else theirs + margin):
        allowed = f", {margin:g} worse is allowed" if margin else ""
        said = f"Version {asked.candidate.number} has {metric} {ours:.4f}, {asked.named} has {theirs:.4f}{allowed}"
        yield _fault("not_worse_than", said)


def _theirs(asked: Asked, rival: Row[Any]) -> float | None:
    if are_on_same_rows(asked.candidate.lineage, rival.lineage):
        return _finite(rival, asked.require["metric"])
    if asked.measured is not None:
        return asked.measured.value
    ours, paired = _finite(asked.candidate, asked.require["metric"]), asked.paired
    # As far from the candidate's own value as the two were on the rows of their evaluation.
    return None if ours is None or paired is None or paired.difference is None else ours - paired.difference


def _cannot_compare(asked: Asked, rival: Row[Any]) -> str | None:
    """Why nothing is known of a rival on the candidate's rows; None where something is."""
    if are_on_same_rows(asked.candidate.lineage, rival.lineage):
        return None
    if asked.measured is None and asked.paired is not None:
        return None
    if asked.measured is None:
        return (
            f"Version {asked.candidate.number} and {asked.named} were measured on different rows, which says nothing: "
            "train both on the same dataset with the same split, evaluate this one `against` the other on new "
            "rows, have a training promote what it makes, or ask for no gate"
        )
    if asked.measured.version != rival.id:
        taken = f"{asked.named} took the place of the version that was measured meanwhile"
        return f"{taken}: train again, or move the alias yourself"
    if asked.measured.value is None:
        return f"{asked.named} cannot be measured on the held-out rows: {asked.measured.reason.rstrip('.')}"
    return None


def _significance(asked: Asked) -> Iterator[Fault]:
    if not asked.require.get("significant") or asked.rival is None:
        return
    found = asked.difference
    if found is None or found.interval is None or found.difference is None:
        said = f"No paired comparison of version {asked.candidate.number} with {asked.named} is known"
        way = "evaluate it `against` that one on new rows, or have a training promote what it makes"
        yield _fault("significant", f"{said}: {way}")
        return
    low, high = found.interval
    if low <= 0 if asked.is_higher_better else high >= 0:
        told = f"{found.difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
        said = f"The difference in {asked.require['metric']} to {asked.named} is {told}"
        yield _fault("significant", f"{said}: chance alone may make it, train or hold out more rows")


def _rows(asked: Asked) -> Iterator[Fault]:
    least, rows = asked.require.get("min_rows"), judged_rows(asked.candidate)
    if least is None or (rows is not None and rows >= least):
        return
    known = "an unknown number of" if rows is None else f"{rows:,}"
    said = f"Version {asked.candidate.number} was judged on {known} rows, at least {least:,} are required"
    yield _fault("min_rows", f"{said}: hold out more, or add to the dataset")


def _leakage(asked: Asked) -> Iterator[Fault]:
    if asked.require.get("no_leakage_warning") and has_leakage(asked.candidate):
        said = f"The training of version {asked.candidate.number} warns that its held-out rows may not be new to it"
        yield _fault("no_leakage_warning", f"{said} ({LEAKAGE}): name a group column, and train again")


def _privacy(asked: Asked) -> Iterator[Fault]:
    for name, said in private_gate.reasons(asked.candidate, asked.require.get("privacy") or {}):
        yield _fault(f"privacy/{name}", said)


CHECKS = (_values, _significance, _rows, _leakage, _privacy)


def _finite(version: Row[Any], metric: str) -> float | None:
    value = value_of(version.metrics, metric)
    return float(value) if value is not None and math.isfinite(value) else None


def _fault(name: str, message: str) -> Fault:
    return Fault(message, pointer=f"/require/{name}")


def _outcome(asked: Asked) -> Json:
    """What the history of the alias keeps of a gate that was passed."""
    metric, found, rival = asked.require.get("metric"), asked.difference, asked.rival
    if metric is None:
        return {"require": asked.require}
    told: Json = {"require": asked.require, "candidate": _finite(asked.candidate, metric)}
    if rival is not None:
        told |= {"rival": _theirs(asked, rival), "rival_version": rival.number}
    if rival is not None and found is not None and found.interval is not None:
        told |= {"difference": found.difference, "interval": list(found.interval), "p": found.p}
    return told
