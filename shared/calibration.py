"""How far the analytic expectation (shared/expectation.py) is from what jobs like this really took here.

The last jobs of the same action and kind count, those of a similar size most: a small job is all overhead, a large one
all arithmetic, and one factor fits not both. The median stands for a job that met something unusual.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from shared.jobs import SUCCEEDED
from shared.tables import jobs

RECENT = 50
# Of the logarithm of the expected seconds: a job of thrice the time counts half.
NEAR = 1.0
# So many jobs' worth of belief that the expectation is right as it is.
BELIEF = 1.0
# Without any job to go by, and with many that agree.
WIDEST, NARROWEST = 4.0, 1.5
# From so many on, their own spread is the range.
ENOUGH = 5.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Past:
    """A job that has ended: what was expected of it before any calibration, and what it took."""

    expected_s: float
    compute_s: float
    cpu_s: float = 0.0
    energy_wh: float = 0.0


@dataclass(frozen=True)
class Calibrated:
    """Seconds and their range; cores that are busy and watt-hours a second, None where no job tells."""

    seconds: float
    low: float
    high: float
    jobs: int
    cores: float | None = None
    wh_per_s: float | None = None

    def times(self, count: float) -> "Calibrated":
        """Of so many jobs like this one."""
        return replace(self, seconds=self.seconds * count, low=self.low * count, high=self.high * count)

    def as_json(self) -> Json:
        return {"seconds": round(self.seconds, 3), "low": round(self.low, 3), "high": round(self.high, 3)}


def recent(sql: Connection, action: str, kind: str | None) -> list[Past]:
    """The last jobs of an action and a kind that ended well: whose they are makes no difference to the machine."""
    chosen = (
        select(jobs.c.estimate, jobs.c.cost)
        .where(jobs.c.action == action, jobs.c.kind == kind, jobs.c.state == SUCCEEDED, jobs.c.estimate.is_not(None))
        .order_by(jobs.c.id.desc())
        .limit(RECENT)
    )
    return [_past(row.estimate, row.cost or {}) for row in sql.execute(chosen) if row.estimate]


def _past(estimate: Json, cost: Json) -> Past:
    return Past(
        float(estimate["model_s"]),
        float(cost.get("compute_s", 0.0)),
        float(cost.get("cpu_s", 0.0)),
        float(cost.get("energy_wh") or 0.0),
    )


def calibrate(expected_s: float, past: Sequence[Past]) -> Calibrated:
    """The expected seconds times the weighted median of real to expected, in logarithms, shrunk towards 1."""
    told = [each for each in past if each.expected_s > 0 and each.compute_s > 0]
    logs = [math.log(each.compute_s / each.expected_s) for each in told]
    weights = [_weight(each.expected_s, expected_s) for each in told]
    weight = sum(weights)
    if weight < 0.01:
        return Calibrated(expected_s, expected_s / WIDEST, expected_s * WIDEST, jobs=0)
    middle = quantile(logs, weights, 0.5)
    seconds = expected_s * math.exp(middle * weight / (weight + BELIEF))
    below, above = middle - quantile(logs, weights, 0.1), quantile(logs, weights, 0.9) - middle
    least = math.log(NARROWEST) + (math.log(WIDEST) - math.log(NARROWEST)) * max(0.0, 1 - weight / ENOUGH)
    return Calibrated(
        seconds,
        seconds / math.exp(max(below, least)),
        seconds * math.exp(max(above, least)),
        jobs=len(told),
        cores=quantile([each.cpu_s / each.compute_s for each in told], weights, 0.5),
        wh_per_s=quantile([each.energy_wh / each.compute_s for each in told], weights, 0.5),
    )


def _weight(size: float, other: float) -> float:
    return math.exp(-((math.log(size / other) / NEAR) ** 2) / 2)


def quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """The smallest of the values that has at least this share of the weight at or below it."""
    ordered = sorted(zip(values, weights, strict=True))
    limit, reached = share * sum(weights), 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= limit:
            return value
    return ordered[-1][0]
