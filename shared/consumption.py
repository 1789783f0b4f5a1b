"""What a tenant's jobs have cost in a span of time, summed by day, model, label, kind or job."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Integer, Select, cast, func, select

from shared.tables import job_labels, jobs

DAY_S = 86_400
SUMS = ("compute_s", "helped_s", "cpu_s", "gpu_s", "energy_wh", "money")

Json = dict[str, Any]


def _day() -> ColumnElement[Any]:
    # Both databases round a cast of their own way; what is whole already they cannot round.
    return cast(func.floor(jobs.c.ended_at / DAY_S), Integer)


_GROUPS: dict[str, Callable[[], ColumnElement[Any]]] = {
    "day": _day,
    "kind": lambda: func.coalesce(jobs.c.kind, ""),
    "job": lambda: jobs.c.id,
}
# Names, which lie sealed: SQL can tell which are alike, and nothing of their order; and how a group is called.
_NAMED: dict[str, tuple[tuple[ColumnElement[Any], ...], Callable[[Mapping[Any, Any]], str]]] = {
    "model": ((jobs.c.model,), lambda row: row["model"] or ""),
    "label": ((job_labels.c.name, job_labels.c.value), lambda row: f"{row['name']}={row['value']}"),
}


def page(
    sql: Connection, tenant: str, *, by: str, since: float | None, until: float | None, limit: int, offset: int
) -> list[Json]:
    """Sums of the jobs that ended from `since` to before `until` (seconds since 1970), one a group, in its order.

    A job with several labels counts in the group of each. A sum is None where no job of the group has the figure.
    """
    if by in _NAMED:
        columns, called = _NAMED[by]
        rows = sql.execute(_sums(tenant, columns, since, until)).mappings()
        named = sorted(({"key": called(row)} | {name: row[name] for name in ("jobs", *SUMS)} for row in rows), key=_key)
        return named[offset : offset + limit]
    group = _GROUPS[by]().label("key")
    chosen = _sums(tenant, (group,), since, until).order_by(group).limit(limit).offset(offset)
    return [dict(row) for row in sql.execute(chosen).mappings()]


def _key(group: Json) -> str:
    return str(group["key"])


def _sums(tenant: str, groups: tuple[ColumnElement[Any], ...], since: float | None, until: float | None) -> Select[Any]:
    of_labels = any(column.table is job_labels for column in groups if isinstance(column, Column))
    rows: FromClause = jobs.join(job_labels, job_labels.c.job == jobs.c.id) if of_labels else jobs
    sums = [func.sum(jobs.c.cost[name].as_float()).label(name) for name in SUMS]
    return (
        select(*groups, func.count().label("jobs"), *sums)
        .select_from(rows)
        .where(jobs.c.tenant == tenant, jobs.c.ended_at.is_not(None), *_within(since, until))
        .group_by(*groups)
    )


def _within(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    early = [] if since is None else [jobs.c.ended_at >= since]
    return early if until is None else [*early, jobs.c.ended_at < until]
