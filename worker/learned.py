"""What a training has made, and how it becomes a version: recorded and promoted as the job ends, in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from shared import explanation, models
from shared.gate import Measured
from shared.models import NewVersion
from worker import consents, promotion
from worker.desk import Desk, erased
from worker.ending import Ending

Json = dict[str, Any]


def _nothing(sql: Connection) -> None:
    """Most trainings have nothing to make sure of."""


@dataclass(frozen=True)
class Learned:
    """A version to be, how the training came to it, and what its rival comes to on the rows that it has held out."""

    version: NewVersion
    said: Json
    measured: Callable[[], Measured | None]
    # Raises when what was learned from has changed meanwhile.
    demand_unchanged: Callable[[Connection], None] = _nothing


def publish(desk: Desk, learned: Learned, **said: Any) -> Ending:
    """The ending of a job that makes a version; `said` stands beside the rest in its result."""
    version, measured = learned.version, learned.measured()

    def record(sql: Connection) -> Json:
        # First, as whoever moves an alias does: they then hold its datasets, too, and must not wait for each other.
        models.take(sql, desk.claim)
        learned.demand_unchanged(sql)
        if explanation.is_erased(sql, version.lineage):
            # At this moment: its rows, which the version may keep, would be found by nobody.
            raise erased()
        carried = consents.carry(sql, desk, version)
        made = models.record(sql, desk.claim, carried)
        promoted = promotion.settle(sql, desk, made["version"], carried, measured)
        judged = {"metrics": version.metrics, "baselines": version.baselines, "warnings": version.warnings}
        return {**made, **learned.said, **judged, **promoted, **said, "rights": carried.lineage["rights"]}

    return Ending(record)
