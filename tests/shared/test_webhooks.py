"""Webhooks in SQL: what is written down of what happens, for whom, and what becomes of it."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, update

from shared import claims, deliveries, ids, jobs, models, recovery, webhooks
from shared.claims import Claim
from shared.database import Database, now
from shared.deliveries import GAPS_S, Tried
from shared.errors import EtudeError, JobFailed, NotAllowedNow, NotFound
from shared.tables import deliveries as table
from shared.tables import jobs as job_table
from shared.tables import webhooks as hooks
from tests.factories import claim, make_job

URL = "https://example.com/hook"
DAY_S = 24 * 3600.0
ARRIVED, BROKEN = Tried(0.1, status=204), Tried(0.1, status=500)


def make(database: Database, tenant: str, *events: str) -> str:
    with database.transaction() as sql:
        row = webhooks.create(sql, tenant, url=URL, events=list(events) or ["*"], description=None)
    return str(row.id)


def rows(database: Database, webhook: str | None = None) -> list[Any]:
    with database.reading() as sql:
        return [row for row in rows_of(sql) if webhook in (None, row.webhook)]


def rows_of(sql: Connection) -> list[Any]:
    return list(sql.execute(select(table).order_by(table.c.id)).all())


def hook(database: Database, webhook: str) -> Any:
    with database.reading() as sql:
        return sql.execute(select(hooks).where(hooks.c.id == webhook)).one()


def told(database: Database) -> list[tuple[str, dict[str, Any]]]:
    return [(body["type"], body["data"]) for body in (json.loads(row.body) for row in rows(database))]


def started(database: Database, tenant: str, **values: Any) -> Claim:
    with database.transaction() as sql:
        make_job(sql, tenant, **values)
        return claim(sql)


def claimed(database: Database) -> list[deliveries.Claim]:
    with database.transaction() as sql:
        return deliveries.claim(sql, [due.id for due in deliveries.list_due(sql, but_of=[])])


def tried(database: Database, came_to: Tried) -> deliveries.Claim:
    """Have the one delivery that is due tried, and what came of it written down."""
    (taken,) = claimed(database)
    with database.transaction() as sql:
        deliveries.record(sql, taken, came_to)
    return taken


def let_pass(database: Database, seconds: float) -> None:
    """As if so many seconds had gone by since all that there is."""
    with database.transaction() as sql:
        for column in (table.c.next_at, table.c.lease_until, table.c.created_at, table.c.ended_at):
            sql.execute(update(table).values({column.name: column - seconds}))
        sql.execute(update(hooks).values(failing_since=hooks.c.failing_since - seconds))


def succeed(database: Database, tenant: str) -> None:
    taken = started(database, tenant)
    with database.transaction() as sql:
        claims.succeed(sql, taken, result={}, cost={})


def fail(database: Database, tenant: str) -> None:
    taken = started(database, tenant)
    with database.transaction() as sql:
        claims.fail(sql, taken, JobFailed("It failed."), cost={})


def finish_cancelled(database: Database, tenant: str) -> None:
    taken = started(database, tenant)
    with database.transaction() as sql:
        claims.finish_cancelled(sql, taken, cost={})


def cancel_waiting(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        jobs.cancel(sql, tenant, make_job(sql, tenant))


def expire(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, deadline_s=-1.0)
        assert recovery.expire(sql) == 1


def cancel_left_over(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        sql.execute(update(job_table).where(job_table.c.id == job).values(cancel_requested_at=now()))
        assert recovery.cancel_left_over(sql) == 1


def lose_for_the_last_time(database: Database, tenant: str) -> None:
    taken = started(database, tenant)
    with database.transaction() as sql:
        sql.execute(update(job_table).values(losses=claims.LOSSES_AT_MOST - 1))
        assert recovery.lose(sql, taken.worker)


def stall_for_the_last_time(database: Database, tenant: str) -> None:
    taken = started(database, tenant)
    with database.transaction() as sql:
        sql.execute(update(job_table).values(losses=claims.LOSSES_AT_MOST - 1))
        claims.stall(sql, taken, JobFailed("It stalled.", code="stalled"), cost={})


@pytest.mark.parametrize(
    ("end", "state", "error"),
    [
        (succeed, "succeeded", None),
        (fail, "failed", "job_failed"),
        (finish_cancelled, "cancelled", None),
        (cancel_waiting, "cancelled", None),
        (expire, "failed", "deadline_passed"),
        (cancel_left_over, "cancelled", None),
        (lose_for_the_last_time, "failed", "worker_lost"),
        (stall_for_the_last_time, "failed", "stalled"),
    ],
)
def test_every_end_of_a_job_is_written_down_once(
    database: Database, tenant: str, end: Callable[[Database, str], None], state: str, error: str | None
) -> None:
    make(database, tenant)

    end(database, tenant)

    ((type_, data),) = told(database)
    assert type_ == f"job.{state}"
    assert (data["state"], data["error"], data["action"], data["kind"]) == (state, error, "train", "classification")


def test_what_is_no_end_is_told_to_nobody(database: Database, tenant: str) -> None:
    make(database, tenant)

    taken = started(database, tenant)
    with database.transaction() as sql:
        claims.enter(sql, taken, "training")
        claims.release(sql, taken, cost={})
        assert claim(sql).job_id == taken.job_id
        recovery.lose(sql, taken.worker)

    assert told(database) == []


def test_an_end_that_is_rolled_back_tells_nobody(database: Database, tenant: str) -> None:
    make(database, tenant)
    taken = started(database, tenant)

    with pytest.raises(JobFailed), database.transaction() as sql:
        claims.succeed(sql, taken, result={}, cost={})
        raise JobFailed("The power went.")

    assert told(database) == []


def test_what_is_told_are_ids_and_states_and_nothing_that_a_client_sent(database: Database, tenant: str) -> None:
    make(database, tenant)
    taken = started(database, tenant, labels={"secret": "label"}, params={"secret": "param"})

    with database.transaction() as sql:
        claims.hold(sql, taken)
        made = models.record(sql, taken, models.NewVersion([], {}, {}, [], {}, 1))
        claims.succeed(sql, taken, result={**made, "metrics": "secret"}, cost={})

    ((_, data),) = told(database)
    assert data == {
        "job": taken.job_id, "state": "succeeded", "action": "train", "kind": "classification", "model": "songs@1",
        "schedule": None, "error": None,
    }  # fmt: skip


def test_a_scoring_tells_the_version_that_it_used(database: Database, tenant: str) -> None:
    trained = started(database, tenant)
    with database.transaction() as sql:
        models.record(sql, trained, models.NewVersion([], {}, {}, [], {}, 1))
        claims.succeed(sql, trained, result={}, cost={})
        version = models.find_version(sql, tenant, "songs", 1)
    make(database, tenant)

    with database.transaction() as sql:
        jobs.cancel(sql, tenant, make_job(sql, tenant, action="score", version=version.id))
        jobs.cancel(sql, tenant, make_job(sql, tenant, action="score", model="etude.tagger-mtt", version="ver_own"))

    assert [data["model"] for _, data in told(database)] == ["songs@1", "etude.tagger-mtt"]


def test_only_who_asked_for_it_is_told_and_nobody_of_another_tenant(
    database: Database, tenant: str, other: str
) -> None:
    everything, failures = make(database, tenant), make(database, tenant, "job.failed", "schedule.paused")
    make(database, other)
    off = make(database, tenant)
    with database.transaction() as sql:
        webhooks.change(sql, tenant, off, {"state": "disabled"})

    succeed(database, tenant)
    fail(database, tenant)
    with database.transaction() as sql:
        webhooks.tell(sql, tenant, "schedule.paused", {"schedule": "sch_1"})

    assert [row.type for row in rows(database, everything)] == ["job.succeeded", "job.failed", "schedule.paused"]
    assert [row.type for row in rows(database, failures)] == ["job.failed", "schedule.paused"]
    assert len(rows(database)) == 5


def test_without_a_webhook_an_end_costs_one_statement_that_reads(database: Database, tenant: str, other: str) -> None:
    make(database, other)
    taken = started(database, tenant)
    said: list[str] = []

    with database.transaction() as sql:
        event.listen(sql, "before_cursor_execute", lambda *given: said.append(given[2]))
        claims.succeed(sql, taken, result={}, cost={})

    assert [each.split()[0] for each in said if "webhooks" in each or "deliveries" in each] == ["SELECT"]


def test_a_webhook_that_is_being_deleted_holds_up_no_job(database: Database, tenant: str) -> None:
    if database.is_sqlite:
        # It has one writer; there is no such moment.
        return
    doomed, kept = make(database, tenant), make(database, tenant)
    taken = started(database, tenant)

    with database.transaction() as deleting:
        webhooks.remove(deleting, tenant, doomed)
        with database.transaction() as sql:
            claims.succeed(sql, taken, result={}, cost={})

    assert [row.webhook for row in rows(database)] == [kept]


def test_a_tenant_has_so_many_webhooks_and_no_more(database: Database, tenant: str, other: str) -> None:
    for _ in range(webhooks.WEBHOOKS_AT_MOST - 1):
        make(database, tenant)

    said: list[str] = []

    def try_one() -> None:
        try:
            said.append(make(database, tenant)[:4])
        except NotAllowedNow as refused:
            said.append(refused.code)

    threads = [threading.Thread(target=try_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == ["too_many_webhooks"] * 3 + ["whk_"]
    make(database, other)


def test_the_secret_of_a_webhook_is_as_long_as_the_standard_wants(database: Database, tenant: str) -> None:
    secrets = {hook(database, make(database, tenant)).secret for _ in range(2)}

    assert len(secrets) == 2
    assert {secret[:6] for secret in secrets} == {"whsec_"}
    assert {len(secret) for secret in secrets} == {6 + 44}  # 32 bytes


def test_a_delivery_is_claimed_by_one_of_many(database: Database, tenant: str) -> None:
    make(database, tenant)
    for _ in range(10):
        succeed(database, tenant)
    taken: list[str] = []

    def claim_all() -> None:
        for _ in range(3):
            taken.extend(each.id for each in claimed(database))

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == [row.id for row in rows(database)]


def test_a_claim_shows_its_secrets_to_no_log(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)

    (taken,) = claimed(database)

    assert taken.secrets == [hook(database, webhook).secret]
    assert "whsec_" not in repr(taken)


def test_what_arrives_is_done(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)

    tried(database, ARRIVED)

    (row,) = rows(database)
    assert (row.state, row.attempts, row.next_at, row.lease_until) == ("delivered", 1, None, None)
    assert [(each["status"], each["error"]) for each in row.log] == [(204, None)]
    assert (claimed(database), hook(database, webhook).failing_since) == ([], None)


def test_what_fails_is_tried_ever_later_for_a_day_and_has_then_failed(database: Database, tenant: str) -> None:
    make(database, tenant)
    succeed(database, tenant)
    waited = []

    for gap_s in GAPS_S:
        tried(database, BROKEN)
        (row,) = rows(database)
        with database.reading() as sql:
            waited.append(row.next_at - sql.execute(select(now())).scalar_one())
        assert claimed(database) == []
        let_pass(database, gap_s)
    tried(database, BROKEN)

    (row,) = rows(database)
    assert (row.state, row.attempts, row.next_at, len(row.log)) == ("failed", 8, None, 8)
    assert all(0.75 * gap_s < found <= gap_s for gap_s, found in zip(GAPS_S, waited, strict=True))
    assert len({round(found / gap_s, 3) for gap_s, found in zip(GAPS_S, waited, strict=True)}) > 1
    assert 0.9 * DAY_S < sum(GAPS_S) < DAY_S


def test_a_claim_whose_process_died_runs_out_and_counts_as_a_try(database: Database, tenant: str) -> None:
    make(database, tenant)
    succeed(database, tenant)
    (lost,) = claimed(database)

    assert claimed(database) == []
    let_pass(database, deliveries.LEASE_S + 1)
    (again,) = claimed(database)

    assert (again.id, again.body, again.attempts) == (lost.id, lost.body, 2)


@pytest.mark.parametrize(("came_to", "state"), [(ARRIVED, "delivered"), (BROKEN, "waiting")])
def test_a_try_that_was_given_up_for_dead_has_no_say_any_more(
    database: Database, tenant: str, came_to: Tried, state: str
) -> None:
    make(database, tenant)
    succeed(database, tenant)
    (frozen,) = claimed(database)
    let_pass(database, deliveries.LEASE_S + 1)
    tried(database, came_to)
    before = rows(database)

    with database.transaction() as sql:
        deliveries.record(sql, frozen, Tried(0.1, status=410))

    assert rows(database) == before
    assert [row.state for row in before] == [state]


def test_what_a_try_came_to_is_said_of_its_own_delivery(database: Database, tenant: str) -> None:
    make(database, tenant)
    for _ in range(2):
        succeed(database, tenant)
    first, _ = claimed(database)

    with database.transaction() as sql:
        deliveries.record(sql, first, ARRIVED)

    assert {row.id: row.state for row in rows(database)}[first.id] == "delivered"
    assert sorted(row.state for row in rows(database)) == ["delivered", "waiting"]


def test_gone_is_taken_at_its_word(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    tried(database, ARRIVED)
    fail(database, tenant)
    (taken,) = claimed(database)
    succeed(database, tenant)
    kept = make(database, tenant)
    succeed(database, tenant)

    with database.transaction() as sql:
        deliveries.record(sql, taken, Tried(0.1, status=410))
    succeed(database, tenant)

    row = hook(database, webhook)
    assert (row.state, row.error["code"]) == ("disabled", "webhook_gone")
    assert [row.state for row in rows(database, webhook)] == ["delivered", "failed", "failed", "failed"]
    assert (hook(database, kept).state, hook(database, kept).failing_since) == ("active", None)
    assert [row.state for row in rows(database, kept)] == ["waiting", "waiting"]
    assert [each.webhook for each in claimed(database)] == [kept, kept]


def test_after_days_without_an_answer_nothing_more_is_sent(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    for days in (0, 4.9):
        let_pass(database, days * DAY_S)
        with database.transaction() as sql:
            webhooks.ping(sql, tenant, webhook)
            sql.execute(update(table).where(table.c.attempts > 0).values(state="failed"))
        tried(database, BROKEN)
        assert hook(database, webhook).state == "active"
    let_pass(database, 0.2 * DAY_S)

    tried(database, BROKEN)

    row = hook(database, webhook)
    assert (row.state, row.error["code"]) == ("disabled", "webhook_failing")
    assert row.error["detail"] == "Nothing has arrived for 5 days."


def test_one_that_arrives_starts_the_count_again(database: Database, tenant: str) -> None:
    webhook, failing = make(database, tenant), make(database, tenant, "job.failed")
    with database.transaction() as sql:
        sql.execute(update(hooks).where(hooks.c.id == failing).values(failing_since=now()))
    for came_to, days in ((BROKEN, 4), (ARRIVED, 0), (BROKEN, 4), (BROKEN, 0)):
        with database.transaction() as sql:
            sql.execute(update(table).values(state="delivered"))
            webhooks.ping(sql, tenant, webhook)
        tried(database, came_to)
        let_pass(database, days * DAY_S)

    assert (hook(database, webhook).state, hook(database, failing).state) == ("active", "active")
    assert hook(database, failing).failing_since is not None


@pytest.mark.parametrize("by", ["disabling", "deleting"])
def test_what_waits_for_a_webhook_that_is_off_is_not_sent(database: Database, tenant: str, by: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    (in_hand,) = claimed(database)
    fail(database, tenant)

    with database.transaction() as sql:
        if by == "disabling":
            webhooks.change(sql, tenant, webhook, {"state": "disabled"})
        else:
            webhooks.remove(sql, tenant, webhook)
    before = rows(database)
    with database.transaction() as sql:
        deliveries.record(sql, in_hand, ARRIVED)

    let_pass(database, DAY_S)
    assert claimed(database) == []
    assert [(row.id, row.state, row.log) for row in rows(database)] == [(row.id, "failed", []) for row in before]
    assert len(before) == (2 if by == "disabling" else 0)


def test_a_webhook_that_is_switched_on_again_is_as_good_as_new(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    tried(database, Tried(0.1, status=410))

    with database.transaction() as sql:
        row = webhooks.change(sql, tenant, webhook, {"state": "active", "url": "https://example.com/new"})

    assert (row.state, row.error, row.failing_since, row.url) == ("active", None, None, "https://example.com/new")
    assert claimed(database) == []


def test_two_secrets_are_signed_with_for_a_day_after_a_rotation(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    first = hook(database, webhook).secret
    with database.transaction() as sql:
        second = webhooks.rotate(sql, tenant, webhook).secret
        webhooks.ping(sql, tenant, webhook)

    (taken,) = claimed(database)
    let_pass(database, 60)
    with database.transaction() as sql:
        sql.execute(update(hooks).values(old_secret_until=hooks.c.old_secret_until - DAY_S))
    (later,) = claimed(database)

    assert first != second
    assert (taken.secrets, later.secrets) == ([second, first], [second])


def test_a_delivery_is_sent_again_by_hand_under_its_id(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    first = tried(database, ARRIVED)

    fail(database, tenant)
    tried(database, ARRIVED)
    other = make(database, tenant)

    with database.transaction() as sql:
        assert deliveries.redeliver(sql, webhook, first.id).id == first.id
        with pytest.raises(NotFound):
            deliveries.redeliver(sql, other, rows_of(sql)[1].id)
    again = tried(database, ARRIVED)

    assert (again.id, again.body, again.attempts) == (first.id, first.body, 2)
    assert [row.state for row in rows(database)] == ["delivered", "delivered"]


def test_a_delivery_that_is_being_tried_is_left_to_it(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    (taken,) = claimed(database)

    with database.transaction() as sql:
        deliveries.redeliver(sql, webhook, taken.id)

    assert claimed(database) == []


def test_one_that_has_failed_for_good_gets_one_try_by_hand(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    succeed(database, tenant)
    with database.transaction() as sql:
        sql.execute(update(table).values(state="failed", attempts=8, next_at=None, ended_at=now()))
        deliveries.redeliver(sql, webhook, sql.execute(select(table.c.id)).scalar_one())

    tried(database, BROKEN)

    (row,) = rows(database)
    assert (row.state, row.attempts) == ("failed", 9)


def test_what_ended_a_month_ago_is_forgotten_a_bounded_number_at_a_time(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    old = {"tenant": tenant, "webhook": webhook, "type": "webhook.ping", "body": "{}", "attempts": 1, "log": []}
    with database.transaction() as sql:
        for state, ended_at in (("delivered", now() - 31 * DAY_S), ("failed", now() - 29 * DAY_S), ("waiting", None)):
            count = deliveries.FORGOTTEN_AT_ONCE + 1 if state == "delivered" else 1
            for _ in range(count):
                values = {**old, "id": ids.new("dlv"), "state": state, "created_at": now() - 40 * DAY_S}
                sql.execute(insert(table).values(**values, ended_at=ended_at))

    with database.transaction() as sql:
        assert deliveries.forget(sql) == deliveries.FORGOTTEN_AT_ONCE
        assert [deliveries.forget(sql), deliveries.forget(sql)] == [1, 0]

    assert sorted(row.state for row in rows(database)) == ["failed", "waiting"]


def test_the_due_of_a_tenant_are_passed_over_where_they_are_not_wanted(
    database: Database, tenant: str, other: str
) -> None:
    for each in (tenant, other):
        with database.transaction() as sql:
            webhooks.ping(sql, each, make_in(sql, each))

    with database.reading() as sql:
        found = {name: [due.tenant for due in deliveries.list_due(sql, but_of=but)] for name, but in
                 (("all", []), ("one", [tenant]), ("none", [tenant, other]))}  # fmt: skip

    assert found == {"all": [tenant, other], "one": [other], "none": []}


def make_in(sql: Any, tenant: str) -> str:
    return str(webhooks.create(sql, tenant, url=URL, events=["*"], description=None).id)


@pytest.mark.parametrize(
    "ask",
    [
        lambda sql, tenant, webhook: webhooks.find(sql, tenant, webhook),
        lambda sql, tenant, webhook: webhooks.change(sql, tenant, webhook, {"description": "mine"}),
        lambda sql, tenant, webhook: webhooks.change(sql, tenant, webhook, {"state": "disabled"}),
        lambda sql, tenant, webhook: webhooks.change(sql, tenant, webhook, {}),
        lambda sql, tenant, webhook: webhooks.remove(sql, tenant, webhook),
        lambda sql, tenant, webhook: webhooks.rotate(sql, tenant, webhook),
        lambda sql, tenant, webhook: webhooks.ping(sql, tenant, webhook),
    ],
)
def test_another_tenants_webhook_is_not_there(database: Database, tenant: str, other: str, ask: Any) -> None:
    webhook = make(database, other)
    before = hook(database, webhook)

    with pytest.raises(NotFound), database.transaction() as sql:
        ask(sql, tenant, webhook)

    assert hook(database, webhook) == before
    assert rows(database) == []


def test_nothing_is_sent_by_hand_through_a_webhook_that_is_off(database: Database, tenant: str) -> None:
    webhook = make(database, tenant)
    with database.transaction() as sql:
        webhooks.change(sql, tenant, webhook, {"state": "disabled"})

    with pytest.raises(EtudeError) as refused, database.transaction() as sql:
        webhooks.ping(sql, tenant, webhook)

    assert refused.value.code == "webhook_disabled"


def test_the_neglected_are_those_whose_deliveries_nobody_tries(database: Database, tenant: str, other: str) -> None:
    for each in (tenant, other):
        with database.transaction() as sql:
            webhook = make_in(sql, each)
            webhooks.ping(sql, each, webhook)
            webhooks.ping(sql, each, webhook)

    def count() -> int:
        with database.reading() as sql:
            return deliveries.count_neglected(sql, for_s=60.0)

    fresh = count()
    let_pass(database, 61)
    old = count()
    with database.transaction() as sql:
        deliveries.claim(sql, [due.id for due in deliveries.list_due(sql, but_of=[other])][:1])

    assert (fresh, old, count()) == (0, 2, 1)
