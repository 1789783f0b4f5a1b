"""The life of a job, on both databases."""

import threading

import pytest
from sqlalchemy import func, select, update

from shared import claims, history, jobs, recovery, workers
from shared.database import Database, now
from shared.errors import ClaimLost, JobFailed, NotAllowedNow, NotFound, TryAgain
from shared.sealing.cells import place_of
from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import object_keys
from shared.settings import Settings
from shared.tables import attempts, epochs, events
from shared.tables import jobs as table
from shared.tenancy import EVERYONE
from tests.factories import SKILLS, claim, make_job

COST = {"compute_s": 1.0}


def row_of(database: Database, job_id: str):
    with database.reading() as sql:
        return sql.execute(select(table).where(table.c.id == job_id)).one()


def let_the_lease_run_out(database: Database, job_id: str) -> None:
    with database.transaction() as sql:
        sql.execute(update(table).where(table.c.id == job_id).values(lease_until=now() - 1))


def test_a_submitted_job_waits_with_everything_it_was_given(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant, params={"epochs": 3}, labels={"team": "mir"}, deadline_s=60.0)

    row = row_of(database, job_id)
    assert (row.state, row.attempt, row.fence, row.params, row.labels) == (
        "queued",
        0,
        0,
        {"epochs": 3},
        {"team": "mir"},
    )
    assert row.deadline_at - row.created_at == pytest.approx(60.0, abs=1.0)


def test_a_claim_takes_a_job_once(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    with database.transaction() as sql:
        taken = claim(sql)
    with database.transaction() as sql:
        second = claims.claim_next(sql, "train", worker="w2", skills=SKILLS, lease_s=30)

    assert (taken.job_id, taken.attempt, taken.fence) == (job_id, 1, 1)
    assert second is None


def test_a_job_whose_tenants_key_is_damaged_is_put_off_and_no_other(
    settings: Settings, database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)
        make_job(sql, other, priority=10)
    keys = KeyStore(settings)
    with keys.transaction() as sql:
        sql.execute(update(object_keys).where(object_keys.c.place == place_of(other)).values(wrapped=bytes(80)))
    # Which does not know the key yet.
    fresh = Database(settings, whose=EVERYONE)

    taken = []
    for _ in range(2):
        with fresh.transaction() as sql:
            taken.append(claims.claim_next(sql, "train", worker="w1", skills=SKILLS, lease_s=30))

    fresh.close()
    assert taken[0] is None and taken[1] is not None and taken[1].job_id == job_id


def test_fifty_workers_at_once_take_each_job_once(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        made = {make_job(sql, tenant) for _ in range(10)}
    taken: list[str] = []

    def take() -> None:
        for _ in range(5):
            with database.transaction() as sql:
                found = claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30)
            if found:
                taken.append(found.job_id)

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(made)


def test_priority_comes_first_then_the_tenant_with_less_running_then_age(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        first = make_job(sql, tenant)
        second = make_job(sql, tenant)
        urgent = make_job(sql, tenant, priority=5)
    other = tenant.replace("ten_", "ten_z")[:40]
    with database.transaction() as sql:
        from sqlalchemy import insert

        from shared.tables import tenants

        sql.execute(insert(tenants).values(id=other, name=other, created_at=now()))
        theirs = make_job(sql, other)

    with database.transaction() as sql:
        order = [claim(sql).job_id for _ in range(4)]

    assert order == [urgent, theirs, first, second]


def test_an_unknown_kind_is_left_in_the_queue(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant, kind="of_the_next_release")

    with database.transaction() as sql:
        taken = claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30)

    assert taken is None
    assert row_of(database, job_id).state == "queued"


def test_a_process_that_held_one_tenants_data_takes_no_others(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)

    with database.transaction() as sql:
        taken = claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30, only_tenant="ten_other")

    assert taken is None


def test_a_beat_extends_the_lease_and_carries_progress(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql, lease_s=5)
    before = row_of(database, taken.job_id)

    with database.transaction() as sql:
        wish = claims.beat(sql, taken, progress={"done": 1, "total": 2}, cost=COST)

    after = row_of(database, taken.job_id)
    assert (wish.cancel, wish.drain) == (False, False)
    assert after.lease_until >= before.lease_until
    assert (after.progress, after.cost, after.revision) == ({"done": 1, "total": 2}, COST, before.revision + 1)


def test_the_answer_to_a_beat_carries_the_wish_to_cancel(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql)
        jobs.cancel(sql, tenant, taken.job_id, keep="best")

    with database.transaction() as sql:
        wish = claims.beat(sql, taken)

    assert (wish.cancel, wish.keep) == (True, "best")


def test_the_answer_to_a_beat_says_that_the_worker_is_leaving(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        workers.boot(sql, "worker-1", boot="boot_1", queue="train", pid=1)
        make_job(sql, tenant)
        taken = claim(sql)
        workers.drain(sql, "worker-1")

    with database.transaction() as sql:
        wish = claims.beat(sql, taken)

    assert wish.drain


def test_a_worker_presumed_dead_cannot_write_anything(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        stale = claim(sql)
    let_the_lease_run_out(database, stale.job_id)
    with database.transaction() as sql:
        recovery.reap(sql)

    writes = [
        lambda sql: claims.beat(sql, stale),
        lambda sql: claims.enter(sql, stale, "training"),
        lambda sql: claims.record_epochs(sql, stale, [{"epoch": 1, "loss": 0.5}]),
        lambda sql: claims.record_checkpoint(sql, stale, {"at": {"epoch": 1}}),
        lambda sql: claims.succeed(sql, stale, result={}, cost=COST),
        lambda sql: claims.fail(sql, stale, JobFailed("no"), cost=COST),
        lambda sql: claims.finish_cancelled(sql, stale, cost=COST),
        lambda sql: claims.release(sql, stale, cost=COST),
        lambda sql: claims.try_again(sql, stale, TryAgain("no"), cost=COST),
    ]
    for write in writes:
        with pytest.raises(ClaimLost), database.transaction() as sql:
            write(sql)

    row = row_of(database, stale.job_id)
    assert (row.state, row.result, row.error, row.checkpoint) == ("queued", None, None, None)
    with database.reading() as sql:
        assert sql.execute(select(func.count()).select_from(epochs)).scalar() == 0


def test_the_second_attempt_wins_over_the_first_that_woke_up(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        first = claim(sql)
    let_the_lease_run_out(database, first.job_id)
    with database.transaction() as sql:
        recovery.reap(sql)
        second = claim(sql, worker="worker-2")

    with pytest.raises(ClaimLost), database.transaction() as sql:
        claims.succeed(sql, first, result={"by": 1}, cost=COST)
    with database.transaction() as sql:
        claims.succeed(sql, second, result={"by": 2}, cost=COST)

    assert row_of(database, first.job_id).result == {"by": 2}


def test_three_losses_without_progress_fail_the_job(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    for _ in range(3):
        with database.transaction() as sql:
            claim(sql)
        let_the_lease_run_out(database, job_id)
        with database.transaction() as sql:
            recovery.reap(sql)

    row = row_of(database, job_id)
    assert (row.state, row.attempt, row.error["code"]) == ("failed", 3, "worker_lost")


def test_a_recorded_checkpoint_makes_losses_count_from_nought(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    for epoch in range(5):
        with database.transaction() as sql:
            taken = claim(sql)
            claims.record_checkpoint(sql, taken, {"at": {"epoch": epoch}})
        let_the_lease_run_out(database, job_id)
        with database.transaction() as sql:
            recovery.reap(sql)

    with database.transaction() as sql:
        again = claim(sql)
    assert (again.attempt, again.checkpoint) == (6, {"at": {"epoch": 4}})


def test_what_a_rebooted_slot_held_is_lost_at_once(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        workers.boot(sql, "worker-1", boot="boot_1", queue="train", pid=1)
        make_job(sql, tenant)
        taken = claim(sql)

    with database.transaction() as sql:
        queues = workers.boot(sql, "worker-1", boot="boot_2", queue="train", pid=2)

    assert queues == ["train"]
    assert row_of(database, taken.job_id).state == "queued"


def test_a_drained_job_goes_back_unharmed(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql)

    with database.transaction() as sql:
        claims.release(sql, taken, cost=COST)

    row = row_of(database, taken.job_id)
    assert (row.state, row.losses, row.lease_until) == ("queued", 0, None)
    with database.reading() as sql:
        assert sql.execute(select(attempts.c.outcome)).scalar() == "drained"


def test_a_passing_error_is_tried_again_later_and_fails_in_the_end(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    for attempt in range(claims.TRIES_AT_MOST):
        with database.transaction() as sql:
            sql.execute(update(table).values(run_after=now()))
            claims.try_again(sql, claim(sql), TryAgain("the storage is away"), cost=COST)
        if attempt == 0:
            with database.transaction() as sql:
                assert claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30) is None

    row = row_of(database, job_id)
    assert (row.state, row.error["code"]) == ("failed", "try_again")


def test_cancelling_a_waiting_job_ends_it_at_once(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    with database.transaction() as sql:
        jobs.cancel(sql, tenant, job_id)

    assert row_of(database, job_id).state == "cancelled"
    with pytest.raises(NotAllowedNow), database.transaction() as sql:
        jobs.cancel(sql, tenant, job_id)


def test_a_job_lost_after_its_cancel_is_cancelled_and_not_stuck(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)
        claim(sql)
        jobs.cancel(sql, tenant, job_id)
    let_the_lease_run_out(database, job_id)

    with database.transaction() as sql:
        recovery.reap(sql)
        recovery.cancel_left_over(sql)

    assert row_of(database, job_id).state == "cancelled"


def test_only_a_failed_job_is_retried_and_under_its_own_id(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)
    with pytest.raises(NotAllowedNow), database.transaction() as sql:
        jobs.retry(sql, tenant, job_id)
    with database.transaction() as sql:
        claims.fail(sql, claim(sql), JobFailed("no"), cost=COST)

    with database.transaction() as sql:
        queue = jobs.retry(sql, tenant, job_id)
        again = claim(sql)

    assert queue == "train"
    assert (again.job_id, again.attempt) == (job_id, 2)


def test_another_tenants_job_is_not_there(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)

    for verb in (jobs.cancel, jobs.retry):
        with pytest.raises(NotFound), database.transaction() as sql:
            verb(sql, "ten_other", job_id)


def test_a_waiting_job_fails_at_its_deadline(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant, deadline_s=0.0)

    with database.transaction() as sql:
        expired = recovery.expire(sql)

    assert expired == 1
    assert row_of(database, job_id).error["code"] == "deadline_passed"


def test_epochs_trained_again_replace_their_rows(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        taken = claim(sql)
        claims.record_epochs(sql, taken, [{"epoch": n, "loss": float(n)} for n in (1, 2, 3)])

    with database.transaction() as sql:
        claims.record_epochs(sql, taken, [{"epoch": 2, "loss": 9.0}])

    with database.reading() as sql:
        kept = sql.execute(select(epochs.c.metrics).order_by(epochs.c.epoch)).scalars().all()
    assert [row["loss"] for row in kept] == [1.0, 9.0]


def test_events_are_numbered_without_a_gap_and_end_where_the_row_is(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job_id = make_job(sql, tenant)
        taken = claim(sql)
        claims.enter(sql, taken, "training")
        history.note(sql, tenant, job_id, "warning", {"code": "leakage_suspected"})
        claims.succeed(sql, taken, result={}, cost=COST)

    with database.reading() as sql:
        noted = sql.execute(select(events).where(events.c.job == job_id).order_by(events.c.seq)).all()
    assert [event.seq for event in noted] == list(range(1, len(noted) + 1))
    assert noted[-1].data == {"state": "succeeded", "outcome": "succeeded"}
