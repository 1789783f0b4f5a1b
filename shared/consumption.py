"""What a tenant's jobs have cost in a span of time, summed by day, model, label, kind or job."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Integer, String, cast, func, literal, select

from shared.tables import job_labels, jobs

DAY_S = 86_400
SUMS = ("compute_s", "helped_s", "cpu_s", "gpu_s", "energy_wh", "money")

Json = dict[str, Any]


def _day() -> ColumnElement[Any]:
    # Both databases round a cast of their own way; what is whole already they cannot round.
    return cast(func.floor(jobs.c.ended_at / DAY_S), Integer)


_GROUPS: dict[str, Callable[[], ColumnElement[Any]]] = {
    "day": _day,
    "model": lambda: func.coalesce(jobs.c.model, ""),
    "kind": lambda: func.coalesce(jobs.c.kind, ""),
    "job": lambda: jobs.c.id,
    "label": lambda: job_labels.c.name + literal("=", String) + job_labels.c.value,
}


def page(
    sql: Connection, tenant: str, *, by: str, since: float | None, until: float | None, limit: int, offset: int
) -> list[Json]:
    """Sums of the jobs that ended from `since` to before `until` (seconds since 1970), one a group, in its order.

    A job with several labels counts in the group of each. A sum is None where no job of the group has the figure.
    """
    group = _GROUPS[by]().label("key")
    rows: FromClause = jobs if by != "label" else jobs.join(job_labels, job_labels.c.job == jobs.c.id)
    sums = [func.sum(jobs.c.cost[name].as_float()).label(name) for name in SUMS]
    chosen = (
        select(group, func.count().label("jobs"), *sums)
        .select_from(rows)
        .where(jobs.c.tenant == tenant, jobs.c.ended_at.is_not(None), *_within(since, until))
        .group_by(group)
        .order_by(group)
        .limit(limit)
        .offset(offset)
    )
    return [dict(row) for row in sql.execute(chosen).mappings()]


def _within(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    early = [] if since is None else [jobs.c.ended_at >= since]
    return early if until is None else [*early, jobs.c.ended_at < until]
