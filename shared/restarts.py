"""Jobs that have read of datasets from which rows go: back in their queues, with nothing of what they had learned.

The fence moves on, so that the attempt that has read can write nothing more; it closes its own row when it has let go,
which is what an erasure waits for before it destroys files. Each function is called inside one transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, select, update

from shared import datasets, history
from shared.database import now
from shared.jobs import CANCELLED, ENDED, PARKED, QUEUED, RUNNING
from shared.tables import attempts, chunks, epochs, jobs, outputs

# The reason of the event, and how the attempts end that had read.
REASON, OUTCOME = "data_erased", "restarted"
# What reads again by itself (shared/datasets.py's demand_unchanged), and what must not end by what it does.
BESIDE = ("ingest", "erase")
# Far beyond any lease.
SILENT_S = 3600.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Restarts:
    """What became of the jobs that had begun; their old attempts are to let go before files are destroyed."""

    had_read: list[Json]  # job, fence, guests_until
    # Of these, those that were to stop anyway.
    ended: list[str]


def hold(sql: Connection, tenant: str, dataset_ids: Collection[str]) -> Sequence[Row[Any]]:
    """The jobs on these datasets that have not ended; nobody claims or ends one until the transaction ends.

    Taken before the datasets' own rows, as a training does that ends.
    """
    open_ = [job.id for job in datasets.jobs_naming(sql, tenant, dataset_ids) if job.state not in ENDED]
    chosen = select(jobs).where(jobs.c.id.in_(open_), jobs.c.state.not_in(ENDED), jobs.c.action.not_in(BESIDE))
    return sql.execute(chosen.order_by(jobs.c.id).with_for_update()).all()


def begin_anew(sql: Connection, held: Sequence[Row[Any]], *, before: Collection[str] = ()) -> Restarts:
    """Put those of the held jobs back that have begun, but for those `before`; or end what nobody wants any more.

    A trial goes with its search: with that it begins anew, also where it had ended.
    """
    begun = [row for row in held if row.attempt > 0 and not {row.id, row.parent} & {*before}]
    searches = {row.id for row in begun if _is_wanted(row)}
    trials = [row for row in begun if row.parent in searches]
    told = []
    for row in begun:
        if row in trials:
            continue
        told.append(_told(sql, row))
        if _is_wanted(row):
            _reset(sql, row, QUEUED)
            told += _restart_trials(sql, row.id)
        else:
            _reset(sql, row, CANCELLED)
    ended = [row.id for row in begun if row not in trials and not _is_wanted(row)]
    return Restarts(told, ended)


def _is_wanted(row: Row[Any]) -> bool:
    """Whether somebody waits for the end of it: of what is told to stop here, what it had learned was all."""
    return row.parent is None and row.cancel_requested_at is None and row.keep is None


def _told(sql: Connection, row: Row[Any]) -> Json:
    """The last fence that has read, and until when guests may believe that their chunks are theirs."""
    guests = (chunks.c.job == row.id) & (chunks.c.state == RUNNING) & (chunks.c.worker != row.lease_owner)
    until = sql.execute(select(func.max(chunks.c.lease_until)).where(guests)).scalar()
    return {"job": row.id, "fence": row.fence, "guests_until": until}


def _restart_trials(sql: Connection, search: str) -> list[Json]:
    """Every trial draws its point anew; finals are dropped, for the points that they judge were chosen by what was."""
    told = []
    chosen = select(jobs).where(jobs.c.parent == search).order_by(jobs.c.id).with_for_update()
    for row in sql.execute(chosen).all():
        is_final = bool(row.params.get("final"))
        if row.attempt == 0 and row.state == QUEUED and not is_final:
            continue
        told.append(_told(sql, row))
        _reset(sql, row, CANCELLED if is_final else QUEUED, params={"number": row.params["number"]}, budget={})
        sql.execute(delete(outputs).where(outputs.c.job == row.id))
    return told


def _reset(sql: Connection, row: Row[Any], state: str, **values: Any) -> None:
    forget(sql, row.id)
    both = {
        "state": state, "stage": None, "fence": jobs.c.fence + 1, "revision": jobs.c.revision + 1, "losses": 0,
        "tries": 0, "lease_owner": None, "lease_until": None, "run_after": now(), "result": None, "error": None,
    }  # fmt: skip
    # What was withdrawn since it first began it will not have learned from (worker/consents.py).
    anew = {"started_at": None, "ended_at": None, "cancel_requested_at": None}
    moments = anew if state == QUEUED else {"ended_at": now()}
    mine = (jobs.c.tenant == row.tenant) & (jobs.c.id == row.id)
    sql.execute(update(jobs).where(mine).values({**both, **moments, **values}))
    was_running = row.state == RUNNING and row.lease_owner != PARKED
    outcome = {"outcome": OUTCOME} if was_running else {}
    history.note(sql, row.tenant, row.id, "state", {"state": state, "reason": REASON, **outcome})


def forget(sql: Connection, job_id: str) -> None:
    """Drop what attempts of a job have kept of what they had read."""
    for table in (epochs, chunks):
        sql.execute(delete(table).where(table.c.job == job_id))
    sql.execute(update(jobs).where(jobs.c.id == job_id).values(checkpoint=None, progress=None))


def is_read(sql: Connection, restarted: Sequence[Json], *, lease_s: float) -> bool:
    """Whether an attempt that had read is still there; one that has been silent for a lease is taken for dead."""
    for each in restarted:
        mine = (attempts.c.job == each["job"]) & (attempts.c.fence <= each["fence"]) & attempts.c.ended_at.is_(None)
        _close(sql, mine & (attempts.c.beat_at < now() - lease_s))
        if sql.execute(select(attempts.c.job).where(mine).limit(1)).first() is not None:
            return True
    moment = float(sql.execute(select(now())).scalar_one())
    return any((each["guests_until"] or 0.0) > moment for each in restarted)


def let_go(sql: Connection, tenant: str, job_id: str, fence: int) -> None:
    """Say that an attempt whose fence has moved on holds nothing any more."""
    history.close_attempt(sql, tenant, job_id, fence, outcome=OUTCOME, error=None)


def close_silent(sql: Connection) -> None:
    """Of every tick: close the attempts of which nobody will ever say that they have let go."""
    is_past = exists().where(jobs.c.id == attempts.c.job, jobs.c.fence > attempts.c.fence)
    open_ = attempts.c.swept.is_(False) & attempts.c.ended_at.is_(None)
    _close(sql, open_ & (attempts.c.beat_at < now() - SILENT_S) & is_past)


def _close(sql: Connection, which: ColumnElement[bool]) -> None:
    sql.execute(update(attempts).where(which).values(ended_at=now(), outcome=OUTCOME))
