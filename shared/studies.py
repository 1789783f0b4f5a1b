"""What a search and its trials are in SQL: the search is parked while its trials run, and woken when they have ended.

A trial is a job whose `parent` is the search. Any worker takes one; the search itself holds none. Every statement is a
compare-and-set, so that any number of workers and schedulers may say it at once.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select, update

from shared import apart, history, jobs, restarts
from shared.claims import Claim
from shared.database import now
from shared.jobs import CANCELLED, ENDED, PARKED, QUEUED, RUNNING
from shared.kinds import KINDS
from shared.tables import events, outputs
from shared.tables import jobs as table
from shared.tuning_params import TRIAL

# A tick that finds more than this goes on at the next.
SETTLED_AT_ONCE = 500
STOPPED = "search_stopped"

Json = dict[str, Any]


def list_trials(sql: Connection, search: str) -> Sequence[Row[Any]]:
    """Every trial of a search, in the order of their numbers."""
    return sql.execute(select(table).where(table.c.parent == search).order_by(table.c.id)).all()


def submit_trials(sql: Connection, claim: Claim, *, count: int, expected_s: float) -> int:
    """Make the trials that a search still lacks; in a transaction that holds it. Returns how many are new."""
    there = sql.execute(select(func.count()).where(table.c.parent == claim.job_id)).scalar_one()
    return _submit(sql, claim, [{"number": number} for number in range(there, count)], expected_s=expected_s)


def submit_finals(sql: Connection, claim: Claim, points: Sequence[Json], *, expected_s: float) -> int:
    """Have these points tried once more, in folds; in a transaction that holds the search. Returns how many are new."""
    there = list_trials(sql, claim.job_id)
    if any(trial.params.get("final") for trial in there):
        return 0
    params = [{"number": len(there) + place, "axes": axes, "final": True} for place, axes in enumerate(points)]
    return _submit(sql, claim, params, expected_s=expected_s)


def _submit(sql: Connection, claim: Claim, params: Sequence[Json], *, expected_s: float) -> int:
    mine = sql.execute(select(table).where(table.c.id == claim.job_id)).one()
    for each in params:
        jobs.submit(
            sql,
            jobs.NewJob(
                tenant=claim.tenant, action=TRIAL, kind=claim.kind, queue=mine.queue, datasets=claim.datasets,
                model=claim.model, parent=claim.job_id, params=each, labels=mine.labels,
                priority=mine.priority, expected_s=expected_s,
            ),
        )  # fmt: skip
    return len(params)


def list_files(sql: Connection, trial: str) -> Sequence[Row[Any]]:
    """What a trial has left behind: the files of its model."""
    return sql.execute(select(outputs).where(outputs.c.job == trial)).all()


def why_stopped(sql: Connection, search: str) -> Json | None:
    """Why no further trial was begun; None where all were, or where the search has begun anew since."""
    told = (events.c.job == search) & events.c.type.in_((STOPPED, "state"))
    said: Json | None = None
    for event in sql.execute(select(events.c.type, events.c.data).where(told).order_by(events.c.seq)):
        if event.type == STOPPED:
            said = said or event.data
        elif event.data.get("reason") == restarts.REASON:
            said = None
    return said


def find(sql: Connection, search: str) -> Row[Any]:
    """A search by its id."""
    return sql.execute(select(table).where(table.c.id == search)).one()


def is_under_way(search: Row[Any]) -> bool:
    """Whether its trials still matter."""
    return search.state not in ENDED and search.cancel_requested_at is None and search.keep is None


def stop(sql: Connection, search: str, reason: Json) -> None:
    """Let no further trial begin, and say why; those that run go on to their end."""
    waiting = (table.c.parent == search) & (table.c.state == QUEUED)
    # Held first: of two that see it is enough, the second finds nothing left.
    held = update(table).where(table.c.id == search).values(revision=table.c.revision + 1).returning(table.c.tenant)
    tenant = sql.execute(held).scalar_one()
    if _cancel(sql, waiting):
        history.note(sql, tenant, search, STOPPED, reason)


def settle(sql: Connection, search: str) -> None:
    """Tell a search how far its trials are, and wake it when none is left; in the transaction that ends a trial."""
    parked = (table.c.id == search) & (table.c.state == RUNNING) & (table.c.lease_owner == PARKED)
    # Held first: of two trials that end at the same moment the second sees the first.
    held = sql.execute(update(table).where(parked).values(revision=table.c.revision + 1).returning(table)).one_or_none()
    if held is None:
        return
    elapsed_s = sql.execute(select(now() - table.c.started_at).where(table.c.id == search)).scalar_one()
    progress = _progress(held, list_trials(sql, search), elapsed_s)
    sql.execute(update(table).where(table.c.tenant == held.tenant, parked).values(progress=progress))
    if progress["done"] == progress["total"]:
        _wake(sql, held)


def _progress(search: Row[Any], trials: Sequence[Row[Any]], elapsed_s: float) -> Json:
    _, better = aim(search)
    valued = [trial for trial in trials if (trial.result or {}).get("value") is not None]
    # In folds, what is told of a point is another figure than before.
    finals = [trial for trial in valued if trial.params.get("final")]
    values = [trial.result["value"] for trial in finals or valued]
    done, total = sum(trial.state in ENDED for trial in trials), len(trials)
    best = {} if not values else {"best": max(values) if better == "higher" else min(values)}
    eta_s = round(elapsed_s / done * (total - done), 1) if done else None
    return {"done": done, "total": total, "unit": "trials", "eta_s": eta_s, "metrics": best}


def aim(search: Row[Any]) -> tuple[str, str]:
    """The metric by which trials are compared, and whether higher or lower is better."""
    metrics: dict[str, str] = KINDS[search.kind].METRICS
    metric = search.params.get("metric") or next(iter(metrics))
    return metric, metrics[metric]


def steer(sql: Connection) -> int:
    """Of every tick: end trials whose search has ended, wake searches that have none left or are told to end."""
    search = table.alias("search")
    told_to_end = or_(search.c.cancel_requested_at.is_not(None), search.c.keep.is_not(None))
    is_over = exists().where(search.c.id == table.c.parent, or_(search.c.state.in_(ENDED), told_to_end))
    _cancel(sql, table.c.parent.is_not(None) & (table.c.state == QUEUED) & is_over)
    running = table.c.parent.is_not(None) & (table.c.state == RUNNING) & table.c.cancel_requested_at.is_(None)
    asked = {"cancel_requested_at": now(), "revision": table.c.revision + 1}
    sql.execute(update(table).where(running, is_over).values(asked))
    return sum(apart.each(sql, sql.execute(_restless()).all(), lambda row: _wake(sql, row)))


def _restless() -> Any:  # Any: a select of many columns
    """Parked searches that have something to do."""
    trial = table.alias("trial")
    has_open = exists().where(trial.c.parent == table.c.id, trial.c.state.in_((QUEUED, RUNNING)))
    is_late = (table.c.deadline_at.is_not(None)) & (table.c.deadline_at < now())
    is_restless = or_(~has_open, table.c.cancel_requested_at.is_not(None), is_late)
    parked = (table.c.state == RUNNING) & (table.c.lease_owner == PARKED)
    return select(table).where(parked, is_restless).limit(SETTLED_AT_ONCE)


def _wake(sql: Connection, search: Row[Any]) -> bool:
    """Put a parked search back into its queue, where a worker brings it to its end."""
    change = {
        "state": QUEUED, "stage": None, "lease_owner": None, "lease_until": None, "run_after": now(), "turn_at": now(),
        "revision": table.c.revision + 1,
    }  # fmt: skip
    if search.cancel_requested_at is not None and search.keep is not None:
        # A worker has to come for what is to be kept; that it was told to end it knows by `keep`.
        change["cancel_requested_at"] = None
    taken = sql.execute(
        update(table)
        .where(table.c.id == search.id, table.c.fence == search.fence, table.c.lease_owner == PARKED)
        .values(change)
    )
    if taken.rowcount == 0:
        return False
    history.note(sql, search.tenant, search.id, "state", {"state": QUEUED, "reason": "searched"})
    return True


def _cancel(sql: Connection, which: ColumnElement[bool]) -> int:
    change = {"state": CANCELLED, "ended_at": now(), "revision": table.c.revision + 1}
    ended = sql.execute(update(table).where(which).values(change).returning(table.c.tenant, table.c.id)).all()
    apart.each(sql, ended, lambda row: history.note(sql, row.tenant, row.id, "state", {"state": CANCELLED}))
    return len(ended)
