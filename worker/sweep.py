"""Deletes what no row names any more: files of attempts that published nothing, checkpoints of ended jobs; old runs."""

from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, or_, select, update

from shared import chunks, features, fires, storage
from shared.database import Database, now
from shared.jobs import CANCELLED, FAILED, SUCCEEDED
from shared.storage import Storage
from shared.tables import answers, attempts, jobs, outputs, versions
from worker import leftovers

# An attempt that has just ended may still be closing its files.
QUIET_S = 60.0
SWEPT_AT_ONCE = 100
# A failed job may be retried, and goes on from its last checkpoint while that is there.
RETRY_S = 24 * 3600.0
# A scoring that was cancelled, or failed, can be gone on from for so long.
CHUNKS_KEPT_S = 7 * 24 * 3600.0
# As long as a client may repeat a request with the same Idempotency-Key.
ANSWERS_KEPT_S = 24 * 3600.0
DAY_S = 24 * 3600.0


def run(database: Database, files: Storage) -> None:
    """Sweep a bounded number of attempts, files first and then the mark, so that a crash only sweeps again."""
    with database.reading() as sql:
        ended = sql.execute(_sweepable()).all()
    for row in ended:
        _sweep(database, files, row)
    with database.transaction() as sql:
        sql.execute(delete(answers).where(answers.c.created_at < now() - ANSWERS_KEPT_S))
        unnamed = chunks.forget_old(sql, after_s=CHUNKS_KEPT_S, at_most=SWEPT_AT_ONCE)
    for key in unnamed:
        files.delete(key)
    files.sweep()


def forget_runs(database: Database, *, kept_days: float) -> None:
    """Forget runs of schedules that are older, of a bounded number of schedules."""
    with database.transaction() as sql:
        fires.forget_old(sql, after_s=kept_days * DAY_S, at_most=SWEPT_AT_ONCE)


def _sweepable() -> Any:  # Any: a select of many columns
    search = jobs.alias("search")
    # A search takes its winner from what its trials have left behind.
    is_searched = or_(jobs.c.parent.is_(None), exists().where(search.c.id == jobs.c.parent, _is_over(search)))
    return (
        select(attempts.c.job, attempts.c.fence, attempts.c.outcome, jobs.c.tenant, jobs.c.parent)
        .join(jobs, jobs.c.id == attempts.c.job)
        .where(attempts.c.swept.is_(False), attempts.c.ended_at < now() - QUIET_S, _is_over(jobs), is_searched)
        .limit(SWEPT_AT_ONCE)
    )


def _is_over(job: Any) -> ColumnElement[bool]:  # Any: the table, or an alias of it
    has_ended = job.c.state.in_((SUCCEEDED, CANCELLED))
    over: ColumnElement[bool] = has_ended | ((job.c.state == FAILED) & (job.c.ended_at < now() - RETRY_S))
    return over


def _sweep(database: Database, files: Storage, row: Row[Any]) -> None:
    folder = storage.attempt_folder(row.tenant, row.job, row.fence)
    if row.parent is not None:
        with database.transaction() as sql:
            sql.execute(delete(outputs).where(outputs.c.job == row.job))
    with database.reading() as sql:
        made = sql.execute(
            select(versions.c.id).where(versions.c.job == row.job, versions.c.fence == row.fence)
        ).first()
        wrote = sql.execute(select(outputs.c.job).where(outputs.c.job == row.job, outputs.c.key.startswith(folder)))
        is_published = made is not None or wrote.first() is not None
        kept = features.named(sql, folder) | chunks.named(sql, folder)
    temporary = (f"{folder}checkpoints/", f"{folder}features/", f"{folder}chunks/")
    for swept in temporary if is_published else (folder,):
        if not kept:
            files.delete_folder(swept)
            continue
        # What was computed of a recording is worth keeping, however the attempt ended.
        for key in set(files.keys(swept)) - kept:
            files.delete(key)
    leftovers.delete(database, files, row.tenant, row.job)
    with database.transaction() as sql:
        mine = (attempts.c.job == row.job) & (attempts.c.fence == row.fence)
        sql.execute(update(attempts).where(mine).values(swept=True))
