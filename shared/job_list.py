"""Jobs as they are read: one with its attempts and timeline, pages of many, their events, metrics and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, or_, select

from shared.database import Database
from shared.errors import NotAllowedNow, NotFound
from shared.jobs import QUEUED, SUCCEEDED
from shared.tables import attempts, epochs, events, job_labels, jobs, outputs
from shared.tenancy import owned


class Step(NamedTuple):
    """A moment of the timeline."""

    at: float
    data: dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """A job with everything that its page shows."""

    job: Row[Any]
    attempts: list[Row[Any]]
    timeline: Sequence[Any]  # rows of (at, data)
    ahead: int


# Built once: putting a statement together costs as much as running it, and these are what clients poll.
_GLANCE = {
    "sqlite": "SELECT state, revision FROM jobs WHERE id = {0} AND tenant = {0}",
    # A function of the schema, of the same statement, and the setting of the tenant before it.
    "postgresql": "SELECT state, revision FROM glance({0}, {0})",
}
_FIND = select(jobs).where(jobs.c.id == bindparam("job"), jobs.c.tenant == bindparam("tenant"))
_TRIED = select(attempts).where(attempts.c.job == bindparam("job")).order_by(attempts.c.fence)
_TOLD = (
    select(events.c.at, events.c.data)
    .where(events.c.job == bindparam("job"), events.c.type.in_(("state", "stage")))
    .order_by(events.c.seq)
)
# Where it stands among more than this is no news to anybody, and counting on would cost every poll.
AHEAD_AT_MOST = 1000
_BETTER = or_(
    jobs.c.priority > bindparam("level"),
    and_(
        jobs.c.priority == bindparam("level"),
        or_(
            jobs.c.turn_at < bindparam("turn_at"),
            and_(jobs.c.turn_at == bindparam("turn_at"), jobs.c.id < bindparam("job")),
        ),
    ),
)
_AHEAD = select(func.count()).select_from(
    select(jobs.c.id)
    .where(owned(jobs, bindparam("whose")), jobs.c.queue == bindparam("of"), jobs.c.state == QUEUED, _BETTER)
    .limit(AHEAD_AT_MOST)
    .subquery()
)


_COUNT_QUEUED = select(func.count()).select_from(
    select(jobs.c.id)
    .where(jobs.c.state == QUEUED, jobs.c.tenant == bindparam("of"))
    .limit(bindparam("at_most"))
    .subquery()
)


class Glance(NamedTuple):
    """What a poll needs to know whether there is news."""

    state: str
    revision: int


def glance(database: Database, tenant: str, job_id: str) -> Glance:
    """State and revision only. Raises NotFound."""
    row = database.read_one(_GLANCE["sqlite" if database.is_sqlite else "postgresql"], job_id, tenant)
    if row is None:
        raise NotFound("There is no such job.")
    return Glance(*row)


def find(sql: Connection, tenant: str, job_id: str) -> Row[Any]:
    """The bare row. Raises NotFound, alike for nobody's and somebody else's."""
    row = sql.execute(_FIND, {"job": job_id, "tenant": tenant}).one_or_none()
    if row is None:
        raise NotFound("There is no such job.")
    return row


def whole(sql: Connection, row: Row[Any]) -> Whole:
    of = {"job": row.id}
    return Whole(
        row,
        list(sql.execute(_TRIED, of).all()),
        sql.execute(_TOLD, of).all(),
        ahead(sql, row) if row.state == QUEUED else 0,
    )


def fresh(row: Row[Any], *, ahead: int) -> Whole:
    """The whole of a job that was submitted in this transaction: nothing has happened to it yet."""
    return Whole(row, [], [Step(row.created_at, {"state": QUEUED})], ahead)


def ahead(sql: Connection, row: Row[Any]) -> int:
    """How many jobs of its tenant wait in its queue and have their turn before it, counted up to AHEAD_AT_MOST.

    Other tenants' are not counted, which are nobody's business; who has had less than others is served first.
    """
    place = {"whose": row.tenant, "of": row.queue, "level": row.priority, "turn_at": row.turn_at, "job": row.id}
    return int(sql.execute(_AHEAD, place).scalar_one())


def count_queued(sql: Connection, tenant: str, *, at_most: int) -> int:
    """How many jobs of a tenant wait, counted up to `at_most`."""
    return int(sql.execute(_COUNT_QUEUED, {"of": tenant, "at_most": at_most}).scalar_one())


def page(
    sql: Connection,
    tenant: str,
    *,
    limit: int,
    before: str | None,
    equal: Mapping[str, str],
    labels: Mapping[str, str],
) -> list[Row[Any]]:
    """The newest first; `equal` names columns (state, kind, action, model, …) and `labels` a job's own labels.

    Trials are on pages of their search alone, which `equal` names as `parent`.
    """
    chosen = select(jobs).where(jobs.c.tenant == tenant, *(jobs.c[name] == value for name, value in equal.items()))
    if "parent" not in equal:
        # The trials of a search stand below it.
        chosen = chosen.where(jobs.c.parent.is_(None))
    if before is not None:
        chosen = chosen.where(jobs.c.id < before)
    for name, value in labels.items():
        has = (
            owned(job_labels, tenant)
            & (job_labels.c.job == jobs.c.id)
            & (job_labels.c.name == name)
            & (job_labels.c.value == value)
        )
        chosen = chosen.where(exists().where(has))
    return list(sql.execute(chosen.order_by(jobs.c.id.desc()).limit(limit)).all())


def list_events(sql: Connection, job_id: str, *, after: int, limit: int) -> list[Row[Any]]:
    """Events in the order in which they happened, from the one after `after`."""
    chosen = select(events).where(events.c.job == job_id, events.c.seq > after).order_by(events.c.seq).limit(limit)
    return list(sql.execute(chosen).all())


def last_event(sql: Connection, job_id: str) -> int:
    """The number of the newest event of a job."""
    return int(sql.execute(select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.job == job_id)).scalar_one())


def list_epochs(sql: Connection, job_id: str) -> list[dict[str, Any]]:
    chosen = select(epochs.c.metrics).where(epochs.c.job == job_id).order_by(epochs.c.epoch)
    return list(sql.execute(chosen).scalars().all())


def find_output(sql: Connection, job_id: str, name: str) -> Row[Any] | None:
    return sql.execute(select(outputs).where(outputs.c.job == job_id, outputs.c.name == name)).one_or_none()


def demand_outputs(sql: Connection, job: Row[Any]) -> None:
    """Refuse a job that has put out something, of which nothing is left. Raises NotAllowedNow (outputs_erased)."""
    left = sql.execute(select(outputs.c.name).where(outputs.c.job == job.id).limit(1)).first()
    if left is None and job.state == SUCCEEDED:
        said = "What this job had put out was erased with data that it was made of: run it again on what is there now."
        raise NotAllowedNow(said, code="outputs_erased")


def last_output(sql: Connection, tenant: str, job_id: str, name: str) -> Row[Any] | None:
    """The file of this name of the last scoring before a job: by the same schedule, or else by the same model."""
    mine = sql.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.tenant == tenant)).one()
    same = jobs.c.model == mine.model if mine.schedule is None else jobs.c.schedule == mine.schedule
    earlier = (jobs.c.tenant == tenant) & (jobs.c.action == mine.action) & (jobs.c.id < job_id)
    chosen = select(outputs).join(jobs, jobs.c.id == outputs.c.job).where(earlier, same, outputs.c.name == name)
    return sql.execute(chosen.where(jobs.c.state == SUCCEEDED).order_by(jobs.c.id.desc()).limit(1)).one_or_none()


def outputs_of_version(sql: Connection, tenant: str, version: str, name: str) -> Sequence[Row[Any]]:
    """The files of one name that scorings by a model version wrote, each with its job's `params`."""
    chosen = select(outputs, jobs.c.params).join(jobs, jobs.c.id == outputs.c.job)
    mine = (jobs.c.tenant == tenant) & (jobs.c.version == version) & (outputs.c.name == name)
    return sql.execute(chosen.where(mine).order_by(jobs.c.id)).all()
