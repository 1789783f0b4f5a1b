"""How far the analytic expectation (shared/expectation.py) is from what jobs like this really took here.

The last jobs of the same action and kind count, those of a similar size most: a small job is all overhead, a large one
all arithmetic, and one factor fits not both. The median stands for a job that met something unusual. How much of its
epochs a job learns for before it ends early is told apart from how long an epoch takes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from shared.expectation import Expected
from shared.jobs import SUCCEEDED
from shared.tables import jobs
from shared.tenancy import owned

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
    """A job that has ended: what was expected of it before any calibration, how long it learned, and what it took."""

    expected: Expected
    compute_s: float
    # None where nothing is learned in epochs, or nobody wrote down how many.
    epochs: float | None = None
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    energy_wh: float = 0.0

    @property
    def learned_s(self) -> float:
        """The seconds expected for the epochs that there were."""
        return self.expected.seconds if self.epochs is None else self.expected.after(self.epochs)

    def told_s(self, share: float) -> float:
        """The seconds that would have been told of it, were such a share of the epochs usual."""
        return self.expected.after(self.expected.epochs * (share if self.expected.may_stop else 1.0))


@dataclass(frozen=True)
class Calibrated:
    """Seconds and their range; busy cores, cards that are held, watt-hours a second, None where no job tells."""

    seconds: float
    low: float
    high: float
    jobs: int
    cores: float | None = None
    cards: float | None = None
    wh_per_s: float | None = None

    def times(self, count: float) -> "Calibrated":
        """Of so many jobs like this one."""
        return replace(self, seconds=self.seconds * count, low=self.low * count, high=self.high * count)

    def as_json(self) -> Json:
        return {"seconds": round(self.seconds, 3), "low": round(self.low, 3), "high": round(self.high, 3)}


def recent(sql: Connection, tenant: str, action: str, kind: str | None) -> list[Past]:
    """The last jobs of a tenant, of an action and a kind, that ended well: what others do here is not told."""
    chosen = (
        select(jobs.c.estimate, jobs.c.cost, jobs.c.result)
        .where(owned(jobs, tenant), jobs.c.action == action, jobs.c.kind == kind)
        .where(jobs.c.state == SUCCEEDED, jobs.c.estimate.is_not(None))
        .order_by(jobs.c.id.desc())
        .limit(RECENT)
    )
    rows = [row for row in sql.execute(chosen) if row.estimate]
    # Of an older release nobody knows how long it learned, and it would tell of early stopping what is told already.
    whole = [row for row in rows if "around_s" in row.estimate]
    return [_past(row.estimate, row.cost or {}, row.result or {}) for row in whole or rows]


def frozen(expected: Expected) -> Json:
    """What a job's row keeps of it, for those to come."""
    told = {"model_s": round(expected.seconds, 6), "around_s": round(expected.around_s, 6)}
    return {**told, "epochs": expected.epochs, "may_stop": expected.may_stop}


def _past(estimate: Json, cost: Json, result: Json) -> Past:
    seconds, epochs = float(estimate["model_s"]), int(estimate.get("epochs", 0))
    around_s = float(estimate.get("around_s", seconds))
    epoch_s = (seconds - around_s) / epochs if epochs else 0.0
    ran = result.get("epochs") if epochs else None
    return Past(
        Expected(around_s, epoch_s, epochs, may_stop=bool(estimate.get("may_stop"))),
        float(cost.get("compute_s", 0.0)),
        epochs=float(ran) if isinstance(ran, int) else None,
        cpu_s=float(cost.get("cpu_s", 0.0)),
        gpu_s=float(cost.get("gpu_s", 0.0)),
        energy_wh=float(cost.get("energy_wh") or 0.0),
    )


def calibrate(expected: Expected, past: Sequence[Past]) -> Calibrated:
    """The expected seconds times the weighted median of real to expected, in logarithms, shrunk towards 1.

    Where a job may end early, so may its estimate: with the usual share of its epochs.
    """
    told = [each for each in past if each.expected.seconds > 0 and each.compute_s > 0]
    share = _share(expected, told)
    expected_s = expected.after(share * expected.epochs)
    logs = [math.log(each.compute_s / each.learned_s) for each in told]
    weights = [_weight(each.expected.seconds, expected.seconds) for each in told]
    weight = sum(weights)
    if weight < 0.01:
        return Calibrated(expected_s, expected_s / WIDEST, expected_s * WIDEST, jobs=0)
    middle = quantile(logs, weights, 0.5)
    seconds = expected_s * math.exp(middle * weight / (weight + BELIEF))
    # How far off the same would have been told of them, their epochs unknown.
    misses = [math.log(each.compute_s / each.told_s(share)) - middle for each in told]
    below, above = -quantile(misses, weights, 0.1), quantile(misses, weights, 0.9)
    least = math.log(NARROWEST) + (math.log(WIDEST) - math.log(NARROWEST)) * max(0.0, 1 - weight / ENOUGH)
    return Calibrated(
        seconds,
        seconds / math.exp(max(below, least)),
        seconds * math.exp(max(above, least)),
        jobs=len(told),
        cores=quantile([each.cpu_s / each.compute_s for each in told], weights, 0.5),
        cards=quantile([each.gpu_s / each.compute_s for each in told], weights, 0.5),
        wh_per_s=quantile([each.energy_wh / each.compute_s for each in told], weights, 0.5),
    )


def _share(expected: Expected, past: Sequence[Past]) -> float:
    """The usual share of its epochs that a job which may end early has learned for; 1 where none tells."""
    # One that might have ended early and did not tells something of it, too.
    told = [each for each in past if each.expected.may_stop and each.epochs is not None]
    if not expected.may_stop or not told:
        return 1.0
    logs = [math.log(max(1.0, each.epochs or 0.0) / each.expected.epochs) for each in told]
    weights = [_weight(each.expected.epochs, expected.epochs) for each in told]
    weight = sum(weights)
    return math.exp(quantile(logs, weights, 0.5) * weight / (weight + BELIEF)) if weight > 0.01 else 1.0


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
