"""What a write must leave alone: every other job, attempt, tenant and worker, and a job that is no longer its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Row, insert, select, true, update

from shared import claims, history, ids, jobs, recovery, workers
from shared.claims import Claim
from shared.database import Database, now
from shared.errors import ClaimLost, JobFailed, NotFound, Stalled, TryAgain
from shared.tables import attempts, epochs, tenants
from shared.tables import jobs as table
from shared.tables import workers as slots
from tests.factories import SKILLS, claim, make_job

COST = {"compute_s": 1.0}
CHECKPOINT = {
    "at": {"epoch": 2},
    "key": "k2",
    "sha256": "0",
    "before": {"at": {"epoch": 1}, "key": "k1", "sha256": "1"},
}
WRITES: dict[str, Callable[[Connection, Claim], Any]] = {
    "beat": lambda sql, mine: claims.beat(sql, mine, progress={"done": 1}, cost=COST),
    "enter": lambda sql, mine: claims.enter(sql, mine, "training"),
    "hold": claims.hold,
    "record_epochs": lambda sql, mine: claims.record_epochs(sql, mine, [{"epoch": 1, "loss": 0.5}]),
    "record_checkpoint": lambda sql, mine: claims.record_checkpoint(sql, mine, CHECKPOINT),
    "skip_checkpoint": lambda sql, mine: claims.skip_checkpoint(sql, mine, CHECKPOINT, reason="integrity"),
    "succeed": lambda sql, mine: claims.succeed(sql, mine, result={}, cost=COST),
    "fail": lambda sql, mine: claims.fail(sql, mine, JobFailed("no"), cost=COST),
    "finish_cancelled": lambda sql, mine: claims.finish_cancelled(sql, mine, cost=COST),
    "release": lambda sql, mine: claims.release(sql, mine, cost=COST),
    "try_again": lambda sql, mine: claims.try_again(sql, mine, TryAgain("later"), cost=COST),
    "stall": lambda sql, mine: claims.stall(sql, mine, Stalled("still"), cost=COST),
}

Rows = dict[tuple[str, ...], tuple[Any, ...]]


def make_crowd(sql: Connection, *owners: str) -> None:
    """For each tenant a job in every state, the running ones in their second attempt, with epochs."""
    for owner in owners:
        for name in ("ends_well", "ends_badly", "runs"):
            make_job(sql, owner, params={"name": name})
            lost = claim(sql, worker=f"{owner}-{name}")
            recovery.lose(sql, lost.worker)
            mine = claim(sql, worker=lost.worker)
            train(sql, mine)
            if name == "ends_well":
                claims.succeed(sql, mine, result={}, cost=COST)
            elif name == "ends_badly":
                claims.fail(sql, mine, JobFailed("no"), cost=COST)
        make_job(sql, owner)


def take(sql: Connection, tenant: str, *, worker: str = "mine") -> Claim:
    """A job in its second attempt, beside which the crowd's queued ones wait."""
    make_job(sql, tenant, priority=9)
    first = claim(sql, worker=worker)
    recovery.lose(sql, worker)
    second = claim(sql, worker=worker)
    assert (second.job_id, second.attempt) == (first.job_id, 2)
    train(sql, second)
    return second


def train(sql: Connection, mine: Claim) -> None:
    """Two epochs; not by the function that is tried here, which might take those of others away."""
    of = {"tenant": mine.tenant, "job": mine.job_id, "metrics": {}}
    sql.execute(insert(epochs), [{**of, "epoch": epoch} for epoch in (1, 2)])


def look(sql: Connection) -> Rows:
    """Every row that a write could touch, by its key."""
    found: Rows = {}
    for of in (table, attempts, epochs, tenants, slots):
        for row in sql.execute(select(of)):
            found[(of.name, *(str(row._mapping[column]) for column in of.primary_key))] = tuple(row)
    return found


def touched(before: Rows, after: Rows) -> set[tuple[str, ...]]:
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_a_write_of_an_attempt_touches_nothing_but_its_own(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        mine = take(sql, tenant)
        allowed = {
            ("jobs", mine.job_id), ("attempts", mine.job_id, str(mine.fence)), ("tenants", tenant),
            ("epochs", mine.job_id, "1"), ("epochs", mine.job_id, "2"),
        }  # fmt: skip
        for name, write in WRITES.items():
            before = look(sql)
            with sql.begin_nested() as step:
                write(sql, mine)
                changed = touched(before, look(sql))
                step.rollback()
            assert changed and changed <= allowed, (name, changed - allowed)


def test_an_attempt_that_no_longer_counts_can_write_nothing(database: Database, tenant: str, other: str) -> None:
    """It was lost; it was lost and begun again; it has ended; it is another job's."""
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        ended = take(sql, tenant)
        claims.succeed(sql, ended, result={}, cost=COST)
        again = take(sql, tenant)
        stale = replace(again, fence=again.fence - 2)
        waiting = replace(again, job_id=make_job(sql, tenant), fence=0)
        for who, gone in (("ended", ended), ("begun again", stale), ("waiting", waiting)):
            for name, write in WRITES.items():
                before = look(sql)
                with pytest.raises(ClaimLost):
                    write(sql, gone)
                assert not touched(before, look(sql)), (who, name)


def test_only_what_is_due_in_this_queue_is_claimed(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, queue="light")
        unwanted, later = make_job(sql, tenant), make_job(sql, tenant)
        sql.execute(update(table).where(table.c.id == unwanted).values(cancel_requested_at=now()))
        sql.execute(update(table).where(table.c.id == later).values(run_after=now() + 60))

        assert claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30) is None
        assert claims.count_due(sql, "train") == 0


def test_a_beat_moves_its_own_attempts_beat_alone(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant)
        mine = take(sql, tenant)
        sql.execute(update(attempts).values(beat_at=1.0))

        claims.beat(sql, mine)

        beaten = sql.execute(select(attempts.c.job, attempts.c.fence).where(attempts.c.beat_at > 1.0)).all()
    assert [tuple(row) for row in beaten] == [(mine.job_id, mine.fence)]


def read(sql: Connection, job: str) -> Row[Any]:
    return sql.execute(select(table).where(table.c.id == job)).one()


def test_a_loss_is_of_one_attempt(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        mine = take(sql, tenant)
        before = look(sql)

        recovery.lose(sql, "mine")

        changed = touched(before, look(sql))
    assert changed == {("jobs", mine.job_id), ("attempts", mine.job_id, str(mine.fence))}


def test_all_that_are_silent_are_reaped_and_each_attempt_ends(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        silent = [take(sql, tenant), take(sql, other, worker="another")]
        mine = table.c.id.in_([each.job_id for each in silent])
        sql.execute(update(table).where(mine).values(lease_until=now() - 1))
        before = look(sql)

        assert len(recovery.reap(sql)) == 2

        changed = touched(before, look(sql))
    assert changed == {
        key for each in silent for key in (("jobs", each.job_id), ("attempts", each.job_id, str(each.fence)))
    }


def test_silent_attempts_of_one_tenant_are_lost_one_by_one(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for _ in range(2):
            make_job(sql, tenant)
        silent = [claim(sql, worker=worker) for worker in ("one", "two")]
        sql.execute(update(table).values(lease_until=now() - 1))

        assert len(recovery.reap(sql)) == len(silent)
        assert not recovery.reap(sql)


def test_only_those_that_beat_and_open_uploads_tell_what_keeps_them_in(database: Database) -> None:
    slot = {"boot": "boot", "queue": "light", "pid": 1, "started_at": now()}
    with database.transaction() as sql:
        for name, beat_at, tier in (("alive", now(), "landlock"), ("silent", 1.0, "landlock"), ("blind", now(), None)):
            sql.execute(insert(slots).values(**slot, name=name, beat_at=beat_at, containment=tier))

        assert workers.contained(sql, lease_s=60.0) == [("alive", "light", "landlock")]


def test_a_reaper_that_comes_late_takes_nothing_from_the_next_attempt(database: Database, tenant: str) -> None:
    """Between its reading and its writing the job was lost by another's hand, and claimed again."""
    with database.transaction() as sql:
        mine = take(sql, tenant)
        seen = read(sql, mine.job_id)
        recovery.lose(sql, "mine")
        claim(sql, worker="mine")
        before = look(sql)

        assert not recovery.requeue_lost(sql, seen, recovery.SILENT, still=true())
        assert not touched(before, look(sql))


def test_a_reaper_that_comes_late_takes_nothing_from_a_job_that_has_ended(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        mine = take(sql, tenant)
        seen = read(sql, mine.job_id)
        claims.succeed(sql, mine, result={}, cost=COST)
        before = look(sql)

        assert not recovery.requeue_lost(sql, seen, recovery.SILENT, still=true())
        assert not touched(before, look(sql))


def test_a_reaper_that_comes_late_leaves_a_worker_that_has_beaten_meanwhile(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        mine = take(sql, tenant)
        sql.execute(update(table).where(table.c.id == mine.job_id).values(lease_until=now() - 1))
        seen = read(sql, mine.job_id)
        claims.beat(sql, mine)
        before = look(sql)

        assert not recovery.requeue_lost(sql, seen, recovery.SILENT, still=table.c.lease_until < now())
        assert not touched(before, look(sql))


def test_only_what_waits_beyond_its_deadline_expires(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        late, too_late, in_time = (make_job(sql, tenant, deadline_s=limit) for limit in (5.0, 6.0, 500.0))
        running = take(sql, tenant)
        overdue = table.c.id.in_([late, too_late, running.job_id])
        sql.execute(update(table).where(overdue).values(deadline_at=now() - 1))
        before = look(sql)

        assert recovery.expire(sql) == 2
        # As if each had been found late a moment ago, and had changed since.
        assert not recovery._expire(sql, tenant, running.job_id)
        assert not recovery._expire(sql, tenant, in_time)

        assert touched(before, look(sql)) == {("jobs", late), ("jobs", too_late)}


def test_only_what_waits_and_is_unwanted_is_cancelled_as_left_over(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        unwanted = make_job(sql, tenant)
        running = take(sql, tenant)
        asked = table.c.id.in_([unwanted, running.job_id])
        sql.execute(update(table).where(asked).values(cancel_requested_at=now()))
        before = look(sql)

        assert recovery.cancel_left_over(sql) == 1

        assert touched(before, look(sql)) == {("jobs", unwanted)}


def test_a_client_touches_the_job_that_it_names_and_no_others(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_crowd(sql, tenant, other)
        every = [(row.id, row.tenant, row.state) for row in sql.execute(select(table)).all()]
        for job, owner, state in every:
            for verb, states in ((jobs.cancel, ("queued", "running")), (jobs.retry, ("failed",))):
                before = look(sql)
                with sql.begin_nested() as step:
                    if owner != tenant:
                        with pytest.raises(NotFound):
                            verb(sql, tenant, job)
                        assert not touched(before, look(sql))
                    elif state in states:
                        verb(sql, tenant, job)
                        assert touched(before, look(sql)) == {("jobs", job)}
                    step.rollback()


def test_a_worker_writes_its_own_row(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for name in ("one", "two"):
            workers.boot(sql, name, boot=ids.new("boot"), queue="train", pid=1)
        for write in (
            workers.beat,
            workers.drain,
            lambda sql, name: workers.boot(sql, name, boot="b", queue="q", pid=2),
        ):
            sql.execute(update(slots).values(beat_at=1.0))
            before = look(sql)
            write(sql, "one")
            assert touched(before, look(sql)) == {("workers", "one")}


def test_each_worker_is_shown_with_its_own_job_and_attempt(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        for name in ("mine", f"{tenant}-runs", "idle", f"{tenant}-ends_well"):
            workers.boot(sql, name, boot=ids.new("boot"), queue="train", pid=1)
        make_crowd(sql, tenant, other)
        mine = take(sql, tenant)
        # A job that has ended tells no more who held it; were it to, it would still not be shown.
        began = sql.execute(
            select(attempts.c.started_at).where(attempts.c.job == mine.job_id, attempts.c.fence == mine.fence)
        ).scalar_one()

        shown = workers.every(sql, tenant)

    assert sorted(row.name for row in shown) == sorted(["mine", f"{tenant}-runs", "idle", f"{tenant}-ends_well"])
    held = {row.name: row for row in shown}
    assert (held["mine"].job_id, held["mine"].job_since) == (mine.job_id, began)
    assert held["idle"].job_id is None and held[f"{tenant}-ends_well"].job_id is None
    assert held[f"{tenant}-runs"].job_id not in (None, mine.job_id)
    with database.reading() as sql:
        assert not {mine.job_id, held[f"{tenant}-runs"].job_id} & {row.job_id for row in workers.every(sql, other)}


def test_a_worker_is_forgotten_when_it_is_long_silent_and_holds_nothing(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for name in ("mine", "old", "new"):
            workers.boot(sql, name, boot=ids.new("boot"), queue="train", pid=1)
        take(sql, tenant)
        old = slots.c.name.in_(["mine", "old"])
        sql.execute(update(slots).where(old).values(beat_at=now() - workers.KEPT_S - 1))

        workers.forget(sql)

        assert {row.name for row in workers.every(sql)} == {"mine", "new"}


def test_an_attempt_that_has_ended_stays_as_it_ended(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        mine = take(sql, tenant)
        claims.succeed(sql, mine, result={}, cost=COST)
        before = look(sql)

        history.close_attempt(sql, tenant, mine.job_id, mine.fence, outcome="lost", error=None)

        assert not touched(before, look(sql))


def test_an_earlier_attempt_that_is_closed_again_does_not_close_the_one_that_runs(
    database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        mine = take(sql, tenant)
        before = look(sql)

        history.close_attempt(sql, tenant, mine.job_id, mine.fence - 2, outcome="lost", error=None)

        assert not touched(before, look(sql))
