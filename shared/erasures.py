"""Erasures: decided at the door in one transaction, carried out by a job (worker/erasures.py), told by a receipt."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from shared import audit_log, datasets, ids, jobs, pseudonyms, quotas, rowed, schedules
from shared.audit_log import Entry
from shared.database import now
from shared.errors import Fault, InvalidRequest, NotAllowedNow, NotFound
from shared.queue import LIGHT
from shared.tables import datasets as dataset_table
from shared.tables import erasures as table
from shared.tables import jobs as job_table
from shared.tables import schedules as schedule_table

DATASET, LISTENER, TRACK = "dataset", "listener", "track"
KEEP, DELETE, RETRAIN = "keep", "delete", "retrain"
DECIDED, DONE = "decided", "done"
ACTION = "erase"

Json = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a client asked for, checked: the reference of a dataset, and of it a listener, or a row by its key."""

    tenant: str
    key: str
    dataset: str
    listener: str | None
    track: str | None
    models: str
    pepper: str


@dataclass(frozen=True)
class Subject:
    """What is to go: a dataset, one version or all, or one listener or row of it."""

    kind: str
    name: str
    version: int | None
    pseudonym: str | None
    rows: list[Row[Any]]


def decide(sql: Connection, wanted: Wanted) -> Row[Any]:
    """Decide an erasure: from this commit on a dataset is gone for everybody, and the job that carries it out exists.

    Raises InvalidRequest for a dataset that is not there or of which nothing is left to train from, NotAllowedNow while
    the same is being erased.
    """
    # Two who ask for the same at once come one after the other, and the second is told so.
    quotas.hold(sql, wanted.tenant)
    subject = _subject(sql, wanted)
    _refuse_twice(sql, wanted.tenant, subject)
    job = jobs.submit(sql, jobs.NewJob(tenant=wanted.tenant, action=ACTION, queue=LIGHT))
    values = {
        "id": ids.new("era"), "tenant": wanted.tenant, "kind": subject.kind, "dataset": subject.name,
        "version": subject.version, "pseudonym": subject.pseudonym, "models": wanted.models, "state": DECIDED,
        "key": wanted.key, "job": job.id, "found": {}, "created_at": now(),
    }  # fmt: skip
    row = sql.execute(insert(table).values(values).returning(table)).one()
    # The job names its erasure, not the datasets: that these are gone is no reason to end it.
    params = {"erasure": row.id, "dataset": subject.name}
    mine = (job_table.c.tenant == wanted.tenant) & (job_table.c.id == job.id)
    sql.execute(update(job_table).where(mine).values(params=params))
    found = _bury(sql, wanted.tenant, subject) if subject.kind == DATASET else {}
    sql.execute(update(table).where(_is(row)).values(found=found))
    tell(sql, row, "decide", row.id, status=202)
    return find(sql, wanted.tenant, row.id)


def _subject(sql: Connection, wanted: Wanted) -> Subject:
    rows = datasets.find_all(sql, wanted.tenant, wanted.dataset, pointer="/subject/dataset")
    name = rows[0].name
    if wanted.track is not None:
        rowed.demand(sql, wanted.tenant, rows)
        return Subject(TRACK, name, None, pseudonyms.of_row(wanted.pepper, wanted.tenant, name, wanted.track), rows)
    if wanted.listener is None:
        if wanted.models == RETRAIN:
            said = "expected keep or delete: of a dataset that is erased nothing is left to train from"
            raise InvalidRequest(said, code="nothing_to_train_from", faults=[Fault(said, pointer="/models")])
        is_whole = "@" not in wanted.dataset and not wanted.dataset.startswith("ds_")
        return Subject(DATASET, name, None if is_whole else rows[0].version, None, rows)
    if rows[0].format != datasets.INTERACTIONS:
        said = f"Listeners are erased from datasets of interactions, and this is one of format {rows[0].format}."
        raise NotAllowedNow(said, code="not_interactions")
    if not any(row.state == datasets.READY for row in rows):
        raise NotAllowedNow(f"The dataset is {rows[0].state}, not ready.", code="dataset_not_ready")
    # The id itself goes no further.
    return Subject(LISTENER, name, None, pseudonyms.of(wanted.pepper, wanted.tenant, name, wanted.listener), rows)


def _refuse_twice(sql: Connection, tenant: str, subject: Subject) -> None:
    same = (table.c.tenant == tenant) & (table.c.state == DECIDED) & (table.c.dataset == subject.name)
    same &= (table.c.kind == subject.kind) & table.c.version.is_not_distinct_from(subject.version)
    of_all = subject.pseudonym is None
    same &= table.c.pseudonym.is_(None) if of_all else table.c.pseudonym == subject.pseudonym
    row = sql.execute(select(table.c.id, table.c.job).where(same)).first()
    if row is not None:
        said = f"{row.id} erases this already: follow its job {row.job}, and retry that if it has failed."
        raise NotAllowedNow(said, code="erasure_under_way")


def _bury(sql: Connection, tenant: str, subject: Subject) -> Json:
    """Have datasets be gone for everybody, and end what works on them; their bytes go later, by what rows say."""
    ids_ = [row.id for row in subject.rows]
    sql.execute(
        update(dataset_table)
        .where(dataset_table.c.tenant == tenant, dataset_table.c.id.in_(ids_))
        .values(state=datasets.ERASED, erased_at=now())
    )
    return {
        "cancelled": cancel_open(sql, tenant, ids_),
        "schedules": _stop_schedules(sql, tenant, subject),
        "datasets": [_described(row) for row in subject.rows],
    }


def _described(row: Row[Any]) -> Json:
    return {"id": row.id, "reference": f"{row.name}@{row.version}", "sha256_before": row.sha256, "sha256_after": None}


def cancel_open(sql: Connection, tenant: str, dataset_ids: Sequence[str]) -> list[str]:
    """Ask for the end of the jobs on these datasets; returns their ids."""
    named = {job.id for job in datasets.jobs_naming(sql, tenant, dataset_ids) if job.state not in jobs.ENDED}
    chosen = select(job_table.c.id).where(job_table.c.tenant == tenant, job_table.c.id.in_(named))
    chosen = chosen.where(job_table.c.action != ACTION)
    found = list(sql.execute(chosen.order_by(job_table.c.id)).scalars())
    for job in found:
        # One that ends by itself at this moment is as good.
        with suppress(NotAllowedNow):
            jobs.cancel(sql, tenant, job)
    return found


def _stop_schedules(sql: Connection, tenant: str, subject: Subject) -> list[str]:
    """Pause the schedules that name what is gone, each with the reason."""
    names = {row.id for row in subject.rows} | {f"{row.name}@{row.version}" for row in subject.rows}
    if subject.version is None:
        names |= {subject.name, f"{subject.name}@latest"}
    stopped = []
    chosen = select(schedule_table).where(schedule_table.c.tenant == tenant).order_by(schedule_table.c.id)
    for row in sql.execute(chosen).all():
        said = row.job.get("dataset")
        if names.isdisjoint(said if isinstance(said, list) else [said]):
            continue
        schedules.stop(sql, tenant, row.id, NotFound("Its dataset was erased: give it another one."))
        stopped.append(row.id)
    return stopped


def tell(sql: Connection, row: Row[Any], verb: str, made: str, *, status: int = 200) -> None:
    """Write a step into the audit log, under whose it was; as the last thing in a transaction."""
    subject = row.pseudonym or row.id
    what = None if made == subject else made
    audit_log.append(sql, Entry(row.tenant, f"erasures.{verb}", status, key=row.key, object=subject, made=what))


def find(sql: Connection, tenant: str, erasure_id: str) -> Row[Any]:
    """One, with the state and the error of its job. Raises NotFound."""
    row = sql.execute(_with_job(tenant).where(table.c.id == erasure_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such erasure.")
    return row


def page(sql: Connection, tenant: str, *, limit: int, before: str | None) -> list[Row[Any]]:
    """The newest first."""
    chosen = _with_job(tenant)
    if before is not None:
        chosen = chosen.where(table.c.id < before)
    return list(sql.execute(chosen.order_by(table.c.id.desc()).limit(limit)).all())


def _with_job(tenant: str) -> Any:  # Any: a select of many columns
    columns = (job_table.c.state.label("job_state"), job_table.c.error.label("job_error"))
    joined = table.join(job_table, (job_table.c.tenant == table.c.tenant) & (job_table.c.id == table.c.job))
    return select(table, *columns).select_from(joined).where(table.c.tenant == tenant)


def refuse_cancel(sql: Connection, tenant: str, job_id: str) -> None:
    """Raise NotAllowedNow for a job that carries an erasure out: nothing brings back what half of one has taken."""
    row = sql.execute(select(table.c.id).where(table.c.tenant == tenant, table.c.job == job_id)).first()
    if row is not None:
        raise NotAllowedNow(f"It carries out {row.id}, which was decided.", code="erasure_decided")


def note(sql: Connection, row: Row[Any], found: Json) -> Row[Any]:
    """Keep what was found, so that an attempt after this one knows of it."""
    return sql.execute(update(table).where(_is(row)).values(found=found).returning(table)).one()


def finish(sql: Connection, row: Row[Any], receipt: Json, signature: str) -> None:
    done = {"state": DONE, "receipt": receipt, "signature": signature, "done_at": now()}
    sql.execute(update(table).where(_is(row)).values(done))


def _is(row: Row[Any]) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = (table.c.tenant == row.tenant) & (table.c.id == row.id)
    return mine
