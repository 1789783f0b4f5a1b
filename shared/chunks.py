"""The chunks of a scoring: runs of rows or tracks, each claimed, fenced and done on its own, by any worker.

The worker that has claimed the job cuts it, takes chunks like everybody else, and puts together what all have made.
Others help: as guests of its attempt they write with the job's fence and with their chunk's. Each function is called
inside one transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, exists, func, insert, select, update

from shared import apart, claims
from shared.claims import Claim, Skills, Wish
from shared.database import now
from shared.errors import ClaimLost, EtudeError
from shared.jobs import ENDED
from shared.jobs import RUNNING as JOB_RUNNING
from shared.tables import chunks, jobs, workers

OPEN, RUNNING, DONE = "open", "running", "done"
# So often a chunk is tried as a whole; then it is cut in two, until the row is alone that cannot be scored.
LOSSES_AT_MOST = 2
# More of them in one job are no matter of rows.
BURIED_AT_MOST = 100
# A statement of that many rows is some hundred kilobytes.
CUT_AT_ONCE = 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class Chunk:
    """The right to work on a run of rows, and what its earlier attempts came to."""

    job_id: str
    first: int
    rows: int
    fence: int
    losses: int
    error: Json | None

    @property
    def end(self) -> int:
        return self.first + self.rows

    @property
    def is_poison(self) -> bool:
        """One row that has ended every attempt at it."""
        return self.rows == 1 and self.losses >= LOSSES_AT_MOST


@dataclass(frozen=True)
class Tally:
    """How far a job is."""

    rows: int
    chunks: int
    total_chunks: int
    workers: int
    buried: int


@dataclass(frozen=True)
class Done:
    """A chunk that is done, and what it left behind."""

    first: int
    rows: int
    output: Json

    @property
    def end(self) -> int:
        return self.first + self.rows


def forget(sql: Connection, claim: Claim) -> None:
    """Let go of the chunks of a job whose output is whole: what they left behind is in it."""
    sql.execute(delete(chunks).where(chunks.c.job == claim.job_id))


def cut(sql: Connection, claim: Claim, *, total: int, size: int, resume_of: str | None = None) -> bool:
    """Cut `total` rows into chunks of `size`, unless an earlier attempt has; returns whether there was anything to cut.

    What an earlier attempt has done stays done; what it was at is open again, for it can be written no more. What the
    job `resume_of` has done, of the same rows by the same model, is done here too.
    """
    claims.hold(sql, claim)
    if _first_of(sql, claim.job_id) is not None:
        _reopen(sql, (chunks.c.job == claim.job_id) & (chunks.c.state == RUNNING))
        return False
    done = [] if resume_of is None else _done_of(sql, resume_of)
    taken_over = [
        {
            **_new(claim.tenant, claim.job_id, each.first, each.rows),
            "state": DONE,
            "output": _unpaid(each),
            "key": each.key,
            "ended_at": each.ended_at,
        }
        for each in done
    ]
    missing = [
        _new(claim.tenant, claim.job_id, first, min(size, end - first))
        for start, end in _gaps(done, total)
        for first in range(start, end, size)
    ]
    for rows in (taken_over, missing):
        for at in range(0, len(rows), CUT_AT_ONCE):
            sql.execute(insert(chunks), rows[at : at + CUT_AT_ONCE])
    return bool(missing)


def _unpaid(done: Row[Any]) -> Json:
    """What a chunk left behind, without who has helped: the job that it was done for has paid."""
    return {name: value for name, value in done.output.items() if name not in ("helped", "helped_s")}


def helped(output: Json) -> Json:
    """What whoever has helped with a chunk used; a worker of an older release tells the seconds alone."""
    told: Json = output.get("helped") or {"compute_s": output.get("helped_s", 0.0)}
    return told


def _done_of(sql: Connection, job_id: str) -> Sequence[Row[Any]]:
    chosen = select(chunks).where(chunks.c.job == job_id, chunks.c.state == DONE)
    return sql.execute(chosen.order_by(chunks.c.first)).all()


def _gaps(done: Sequence[Row[Any]], total: int) -> Iterator[tuple[int, int]]:
    """Where rows are missing: the first of them, and the first after them."""
    at = 0
    for each in done:
        if at < each.first:
            yield at, each.first
        at = each.first + each.rows
    if at < total:
        yield at, total


def take(sql: Connection, claim: Claim, *, lease_s: float) -> Chunk | None:
    """Claim the best open chunk of the job that `claim` is of, as its own worker or as a guest; None if none is open.

    Untried ones come first, and one that has failed here comes last: another worker may do better.
    """
    claims.confirm(sql, claim)
    mine_failed = and_(chunks.c.losses > 0, chunks.c.worker == claim.worker)
    best = (
        select(chunks)
        .where(chunks.c.job == claim.job_id, chunks.c.state == OPEN)
        .order_by(mine_failed, chunks.c.losses, chunks.c.first)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = sql.execute(best).one_or_none()
    return None if row is None else _take(sql, row, claim.worker, lease_s)


def _take(sql: Connection, row: Row[Any], worker: str, lease_s: float) -> Chunk | None:
    rows, losses = row.rows, row.losses
    if losses >= LOSSES_AT_MOST and rows > 1:
        rows, losses = rows // 2, losses - 1
        rest = _new(row.tenant, row.job, row.first + rows, row.rows - rows)
        sql.execute(insert(chunks), {**rest, "losses": losses, "worker": row.worker, "error": row.error})
    taken = sql.execute(
        update(chunks)
        .where(_is(row.job, row.first, row.fence), chunks.c.state == OPEN)
        .values(
            state=RUNNING, rows=rows, losses=losses, fence=row.fence + 1, worker=worker,
            lease_until=now() + lease_s, started_at=now(),
        )
    )  # fmt: skip
    if taken.rowcount == 0:
        return None
    return Chunk(row.job, row.first, rows, row.fence + 1, losses, row.error)


def find_helpable(
    sql: Connection, *, worker: str, skills: Skills, lease_s: float, only_tenant: str | None
) -> Claim | None:
    """A running job that has open chunks, as a guest's claim of its present attempt; None when nobody needs help."""
    wanted = _helpable(skills)
    if only_tenant is not None:
        wanted = wanted.where(jobs.c.tenant == only_tenant)
    row = sql.execute(wanted.order_by(jobs.c.priority.desc(), jobs.c.id).limit(1)).one_or_none()
    return None if row is None else claims.as_claim(row, worker, lease_s)


def count_helpable(sql: Connection, skills: Skills | None = None) -> int:
    """How many chunks wait for a worker, up to claims.DUE_AT_MOST."""
    due = _helpable(skills).join(chunks, chunks.c.job == jobs.c.id).where(chunks.c.state == OPEN)
    return int(sql.execute(select(func.count()).select_from(due.limit(claims.DUE_AT_MOST).subquery())).scalar_one())


def has_anothers(sql: Connection, tenant: str, skills: Skills) -> bool:
    """Whether a chunk of a tenant other than this one waits for a worker of these skills."""
    return bool(sql.execute(select(_helpable(skills).where(jobs.c.tenant != tenant).exists())).scalar())


def _helpable(skills: Skills | None) -> Select[Any]:
    waiting = chunks.alias("waiting")
    has_open = exists().where(waiting.c.job == jobs.c.id, waiting.c.state == OPEN)
    found = select(jobs, (jobs.c.deadline_at - now()).label("deadline_in_s")).where(
        jobs.c.state == JOB_RUNNING, jobs.c.cancel_requested_at.is_(None), has_open
    )
    if skills is None:
        return found
    return found.where(jobs.c.kind.in_(list(skills.kinds)), jobs.c.action.in_(list(skills.actions)))


def beat(sql: Connection, claim: Claim, chunk: Chunk) -> Wish:
    """Say that a guest's chunk is being worked on; learn whether to stop. Raises ClaimLost."""
    leaving = select(workers.c.draining_at).where(workers.c.name == claim.worker).scalar_subquery()
    row = sql.execute(
        select(jobs.c.cancel_requested_at, leaving.label("draining_at")).where(
            jobs.c.id == claim.job_id, jobs.c.fence == claim.fence, jobs.c.state == JOB_RUNNING
        )
    ).one_or_none()
    beaten = sql.execute(update(chunks).where(_is_mine(chunk)).values(lease_until=now() + claim.lease_s))
    if row is None or beaten.rowcount == 0:
        raise _lost(chunk)
    return Wish(cancel=row.cancel_requested_at is not None, keep=None, drain=row.draining_at is not None)


def finish(sql: Connection, claim: Claim, chunk: Chunk, output: Json) -> None:
    """Record what a chunk came to, once. Raises ClaimLost when the attempt or the chunk is another's by now."""
    claims.note_progress(sql, claim)
    _write(sql, claim, chunk, state=DONE, lease_until=None, output=output, key=output["file"]["key"], ended_at=now())
    if helped_s := helped(output)["compute_s"]:
        claims.charge_help(sql, claim, helped_s)


def give_back(sql: Connection, chunk: Chunk) -> None:
    """Open a chunk again that its worker leaves unharmed."""
    sql.execute(update(chunks).where(_is_mine(chunk)).values(state=OPEN, lease_until=None))


def fail(sql: Connection, claim: Claim, chunk: Chunk, error: EtudeError) -> None:
    """Open a chunk again that could not be scored: for another worker, then in halves."""
    claims.hold(sql, claim)
    _write(sql, claim, chunk, state=OPEN, lease_until=None, losses=chunk.losses + 1, error=error.as_json())


def lose(sql: Connection, worker: str, error: EtudeError) -> None:
    """Open the chunks again that a worker held which is known to be gone."""
    _reopen(sql, (chunks.c.state == RUNNING) & (chunks.c.worker == worker), error)


def reap(sql: Connection, error: EtudeError) -> None:
    """Open the chunks again whose guest has not beaten within its lease; the job's own worker beats for the job."""
    is_guest = ~exists().where(
        jobs.c.id == chunks.c.job, jobs.c.state == JOB_RUNNING, jobs.c.lease_owner == chunks.c.worker
    )
    _reopen(sql, (chunks.c.state == RUNNING) & (chunks.c.lease_until < now()) & is_guest, error)


def tally(sql: Connection, job_id: str) -> Tally:
    """Rows and chunks that are done, all chunks, and how many workers are at it."""
    is_done = chunks.c.state == DONE
    row = sql.execute(
        select(
            func.coalesce(func.sum(chunks.c.rows).filter(is_done), 0).label("rows"),
            func.count().filter(is_done).label("done"),
            func.count().label("total"),
            func.count(chunks.c.worker.distinct()).filter(chunks.c.state == RUNNING).label("workers"),
            func.count().filter(is_done & (chunks.c.losses >= LOSSES_AT_MOST) & (chunks.c.rows == 1)).label("buried"),
        ).where(chunks.c.job == job_id)
    ).one()
    return Tally(int(row.rows), row.done, row.total, row.workers, row.buried)


def shares(sql: Connection, job_id: str) -> Sequence[Row[Any]]:
    """What each worker has done of a job: rows, chunks, seconds, and chunks that failed with it last and are open.

    A row of no worker is what nobody has taken yet, or another job has done. `total` counts all chunks of a row.
    """
    is_done, has_failed = chunks.c.state == DONE, (chunks.c.state == OPEN) & (chunks.c.losses > 0)
    took_s = func.sum(chunks.c.ended_at - chunks.c.started_at).filter(is_done)
    chosen = select(
        chunks.c.worker,
        func.coalesce(func.sum(chunks.c.rows).filter(is_done), 0).label("rows"),
        func.count().filter(is_done).label("done"),
        func.coalesce(took_s, 0.0).label("took_s"),
        func.count().filter(has_failed).label("failed"),
        func.count().label("total"),
    )
    return sql.execute(chosen.where(chunks.c.job == job_id).group_by(chunks.c.worker).order_by(chunks.c.worker)).all()


def present(sql: Connection, job_id: str) -> Sequence[Row[Any]]:
    """The chunks of a job that are being done now, the latest last."""
    mine = (chunks.c.job == job_id) & (chunks.c.state == RUNNING)
    return sql.execute(select(chunks).where(mine).order_by(chunks.c.started_at)).all()


def named(sql: Connection, folder: str) -> set[str]:
    """The keys under a folder of an attempt that a chunk names: its own, or one of a job that goes on from it."""
    chosen = select(chunks.c.key).where(chunks.c.state == DONE, chunks.c.key.startswith(folder, autoescape=True))
    return set(sql.execute(chosen).scalars())


def forget_old(sql: Connection, *, after_s: float, at_most: int) -> list[str]:
    """Let go of the chunks of jobs that have ended so long ago; returns the files that no row names any more."""
    is_old = jobs.c.state.in_(ENDED) & (jobs.c.ended_at < now() - after_s)
    mine = chunks.alias("mine")
    old = select(jobs.c.id).where(is_old, exists().where(mine.c.job == jobs.c.id)).limit(at_most)
    gone = sql.execute(delete(chunks).where(chunks.c.job.in_(old)).returning(chunks.c.key)).scalars().all()
    keys = {key for key in gone if key is not None}
    kept = set(sql.execute(select(chunks.c.key).where(chunks.c.key.in_(keys))).scalars()) if keys else set()
    return sorted(keys - kept)


def page(sql: Connection, job_id: str, *, first: int, limit: int) -> Sequence[Row[Any]]:
    """Chunks of a job from row `first` on, as they are now."""
    mine = (chunks.c.job == job_id) & (chunks.c.first >= first)
    return sql.execute(select(chunks).where(mine).order_by(chunks.c.first).limit(limit)).all()


def done_from(sql: Connection, job_id: str, first: int, *, gaps: bool = False, limit: int = 100) -> list[Done]:
    """The chunks that are done from row `first` on, in order; with `gaps` also those behind one that is not."""
    rows = sql.execute(
        select(chunks.c.first, chunks.c.rows, chunks.c.output)
        .where(chunks.c.job == job_id, chunks.c.first >= first, chunks.c.state == DONE)
        .order_by(chunks.c.first)
        .limit(limit)
    ).all()
    found: list[Done] = []
    for row in rows:
        if row.first != first and not gaps:
            break
        found.append(Done(row.first, row.rows, row.output))
        first = row.first + row.rows
    return found


def _first_of(sql: Connection, job_id: str) -> int | None:
    found: int | None = sql.execute(select(chunks.c.first).where(chunks.c.job == job_id).limit(1)).scalar()
    return found


def _new(tenant: str, job_id: str, first: int, rows: int) -> Json:
    return {"tenant": tenant, "job": job_id, "first": first, "rows": rows, "state": OPEN, "fence": 0, "losses": 0}


def _reopen(sql: Connection, which: ColumnElement[bool], error: EtudeError | None = None) -> None:
    """Open again, with a fence that nobody holds; with an error it counts as a loss."""
    again = update(chunks).where(which).values(state=OPEN, lease_until=None, fence=chunks.c.fence + 1)
    if error is None:
        sql.execute(again)
        return
    lost = again.values(losses=chunks.c.losses + 1, error=error.as_json())
    # What was said is sealed, and so written tenant by tenant.
    of_each = sql.execute(select(chunks.c.tenant).where(which).distinct()).all()
    apart.each(sql, of_each, lambda row: sql.execute(lost.where(chunks.c.tenant == row.tenant)))


def _is_mine(chunk: Chunk) -> ColumnElement[bool]:
    return _is(chunk.job_id, chunk.first, chunk.fence) & (chunks.c.state == RUNNING)


def _is(job_id: str, first: int, fence: int) -> ColumnElement[bool]:
    return (chunks.c.job == job_id) & (chunks.c.first == first) & (chunks.c.fence == fence)


def _write(sql: Connection, claim: Claim, chunk: Chunk, **values: Any) -> None:
    mine = (chunks.c.tenant == claim.tenant) & _is_mine(chunk)
    if sql.execute(update(chunks).where(mine).values(**values)).rowcount == 0:
        raise _lost(chunk)


def _lost(chunk: Chunk) -> ClaimLost:
    return ClaimLost(f"Job {chunk.job_id}: the chunk at row {chunk.first} is another worker's by now.")
