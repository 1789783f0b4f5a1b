"""What an evaluation of two versions on the same rows has said of their difference, for a gate that asks later."""

from typing import Any

from sqlalchemy import Connection, Row, select

from shared.gate import Measured
from shared.jobs import SUCCEEDED
from shared.tables import jobs

# Of a version's evaluations: the last ones, of which one may be against the version that is meant.
LOOKED_AT = 50


def find(sql: Connection, tenant: str, candidate: Row[Any], against: str, metric: str) -> Measured | None:
    """The last difference between a version and another, such as songs@2; None where no evaluation tells it."""
    chosen = (
        select(jobs.c.version, jobs.c.params, jobs.c.result)
        .where(
            jobs.c.tenant == tenant, jobs.c.action == "evaluate", jobs.c.state == SUCCEEDED,
            jobs.c.version == candidate.id,
        )
        .order_by(jobs.c.id.desc())
        .limit(LOOKED_AT)
    )  # fmt: skip
    for row in sql.execute(chosen):
        found = ((row.result or {}).get("against") or {}).get("differences", {}).get(metric)
        if row.params.get("against") == against and found is not None:
            return Measured(
                against, rows=row.result.get("rows", 0), difference=found["difference"], interval=found["interval"],
                p=found["p"],
            )  # fmt: skip
    return None
