"""What a tenant may have, and what of it is taken: the one place of every limit that is a tenant's.

The settings say it of every tenant, a row of `tenants` otherwise of one. Each `demand_…` is called in the transaction
that takes what it asks for, and holds the tenant's turn until the commit: of two at once that ask for the last place,
one is refused.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select, text

from shared import job_list
from shared.database import now
from shared.errors import Forbidden, NotAllowedNow, TooManyRequests
from shared.jobs import PARKED, QUEUED, RUNNING
from shared.settings import Settings
from shared.tables import dataset_files, datasets, features, jobs, schedules, tenants

DAY_S = 86_400
NO_LIMIT = -1
# What a client may hope for: some of its jobs have begun.
COME_AGAIN_S = 10
# Each limit by its name here, the column of `tenants` and the setting that holds for all others.
COLUMNS = {
    "stored_bytes": ("stored_bytes_at_most", "tenant_stored_bytes"),
    "queued": ("queued_at_most", "tenant_queued"),
    "running": ("running_at_most", "tenant_running"),
    "schedules": ("schedules_at_most", "tenant_schedules"),
    "compute_s": ("compute_s_a_day", "tenant_compute_s"),
}


@dataclass(frozen=True)
class Limits:
    """Of one tenant; None is no limit, and 0 nothing at all."""

    stored_bytes: int | None
    queued: int | None
    running: int | None
    schedules: int | None
    compute_s: int | None


_OWN = select(*(tenants.c[column] for column, _ in COLUMNS.values())).where(tenants.c.id == bindparam("of"))
COUNT_RUNNING = select(func.count()).where(
    jobs.c.state == RUNNING, jobs.c.lease_owner != PARKED, jobs.c.tenant == bindparam("of")
)
# Of two numbers: a lock of one, drawn from all of them, would be read as the place of an event (shared/feed.py). Two
# tenants of one hash wait for each other, which costs them nothing but that.
_WAIT_FOR_TURN = text("SELECT pg_advisory_xact_lock(11, hashtext(:of))")


def of_tenant(sql: Connection, tenant: str, settings: Settings) -> Limits:
    """The limits of a tenant: its own where the operator has set them, else those of the settings."""
    row = sql.execute(_OWN, {"of": tenant}).one_or_none()
    own: dict[str, Any] = {} if row is None else row._asdict()
    return Limits(**{name: one_limit(own.get(column), getattr(settings, setting)) for name, (column, setting) in
                     COLUMNS.items()})  # fmt: skip


def one_limit(own: int | None, default: int) -> int | None:
    """What holds of a tenant: in a setting 0 is no limit; of a tenant alone, 0 is nothing, and -1 no limit."""
    if own is None:
        return default or None
    return None if own == NO_LIMIT else own


def hold(sql: Connection, tenant: str) -> None:
    """Wait for the tenant's turn, and have it until the transaction ends; claims of its jobs do not wait for it."""
    # SQLite has one writer, who has all turns.
    if sql.dialect.name == "postgresql":
        sql.execute(_WAIT_FOR_TURN, {"of": tenant})


def demand_queue(sql: Connection, tenant: str, limit: int | None) -> int:
    """Raise TooManyRequests when as many jobs wait as may; returns how many do, or 0 without a limit."""
    if limit is None:
        return 0
    hold(sql, tenant)
    count = job_list.count_queued(sql, tenant, at_most=limit)
    if count >= limit:
        said = f"{count:,} of your jobs wait, as many as may: come again when some have begun, or cancel some."
        raise TooManyRequests(said, code="too_many_jobs", retry_after_s=COME_AGAIN_S)
    return count


def demand_compute(sql: Connection, tenant: str, limit: int | None) -> None:
    """Raise TooManyRequests, until midnight in UTC, when the seconds of today are spent or promised."""
    if limit is None:
        return
    hold(sql, tenant)
    spent = compute_today(sql, tenant)
    if spent >= limit:
        said = f"Of {limit:,} seconds of compute a day {spent:,.0f} are spent or promised to jobs: come again tomorrow."
        raise TooManyRequests(said, code="compute_exhausted", retry_after_s=_seconds_left(sql))


def compute_today(sql: Connection, tenant: str) -> float:
    """Seconds of the jobs that ended today (UTC), and those that all others are expected to take, or have taken."""
    mine = jobs.c.tenant == tenant
    today = func.floor(now() / DAY_S) * DAY_S
    ended = select(func.sum(jobs.c.cost["compute_s"].as_float())).where(mine, jobs.c.ended_at >= today)
    # What is expected of a search is expected of its trials; what each took is its own.
    is_open = jobs.c.state.in_((QUEUED, RUNNING)) & jobs.c.parent.is_(None)
    promised = select(func.sum(jobs.c.expected_s)).where(mine, is_open)
    return float(sql.execute(ended).scalar() or 0) + float(sql.execute(promised).scalar() or 0)


def _seconds_left(sql: Connection) -> int:
    """Until the next day begins."""
    return int(DAY_S - sql.execute(select(now())).scalar_one() % DAY_S) + 1


def demand_storage(sql: Connection, tenant: str, limit: int | None, *, more_bytes: int) -> None:
    """Raise Forbidden when so many bytes more are too many."""
    if limit is None:
        return
    hold(sql, tenant)
    stored = stored_bytes(sql, tenant)
    if stored + more_bytes > limit:
        said = f"{stored:,} of {limit:,} bytes are taken, and this has {more_bytes:,}: erase a dataset first."
        raise Forbidden(said, code="quota_exhausted")


def stored_bytes(sql: Connection, tenant: str) -> int:
    """Bytes of uploads, of the tables made of them, and of what was computed of recordings."""
    uploads = select(func.sum(dataset_files.c.size_bytes)).join(datasets, datasets.c.id == dataset_files.c.dataset)
    made = select(func.sum(datasets.c.size_bytes)).where(datasets.c.tenant == tenant, datasets.c.erased_at.is_(None))
    heard = select(func.sum(features.c.size_bytes)).where(features.c.tenant == tenant)
    sums: tuple[Select[Any], ...] = (uploads.where(datasets.c.tenant == tenant), made, heard)
    return sum(int(sql.execute(each).scalar() or 0) for each in sums)


def demand_schedule(sql: Connection, tenant: str, limit: int | None) -> None:
    """Raise NotAllowedNow when there are as many schedules as may be."""
    if limit is None:
        return
    hold(sql, tenant)
    count = count_schedules(sql, tenant)
    if count >= limit:
        said = f"There are {count:,} schedules, and {limit:,} is the limit: delete one first."
        raise NotAllowedNow(said, code="too_many_schedules")


def count_schedules(sql: Connection, tenant: str) -> int:
    return int(sql.execute(select(func.count()).where(schedules.c.tenant == tenant)).scalar_one())


def count_running(sql: Connection, tenant: str) -> int:
    """How many jobs of a tenant a worker holds; a search whose trials run is held by nobody."""
    return int(sql.execute(COUNT_RUNNING, {"of": tenant}).scalar_one())


def may_run(running: ColumnElement[int], default: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a tenant with so many running jobs may have one more; `default` is the setting, 0 being no limit."""
    at_most = func.coalesce(tenants.c.running_at_most, func.nullif(default, 0), NO_LIMIT)
    return tenants.c.suspended_at.is_(None) & or_(at_most == NO_LIMIT, running < at_most)
