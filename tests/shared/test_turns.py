"""Whose turn it is: a fair share between tenants and between short and long jobs, and limits for each tenant."""

import threading
import time

import pytest
from sqlalchemy import select, update

from shared import claims, job_list, jobs
from shared.claims import Skills
from shared.database import Database, now
from shared.tables import attempts, tenants
from shared.tables import jobs as table
from tests.factories import SKILLS, claim, make_job


def run_all(database: Database, *, takes_s: float = 0.0, really_s: float = 0.0, at_most: int = 1000) -> list[str]:
    """One worker does one job after the other; returns them in the order in which they were claimed."""
    done: list[str] = []
    while len(done) < at_most:
        with database.transaction() as sql:
            found = claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30)
            if found is None:
                return done
            sql.execute(update(attempts).where(attempts.c.job == found.job_id).values(started_at=now() - takes_s))
            time.sleep(really_s)
            claims.succeed(sql, found, result={}, cost={})
            done.append(found.job_id)
    return done


@pytest.mark.hostile("H51")
def test_with_one_worker_a_tenant_with_one_job_does_not_wait_for_all_of_another(
    database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        many = [make_job(sql, tenant, expected_s=10.0) for _ in range(20)]
        one = make_job(sql, other, expected_s=10.0)

    order = run_all(database, takes_s=10.0)

    assert order.index(one) == 1
    assert [job for job in order if job != one] == many


def test_time_that_passes_while_a_job_runs_forgives_nothing(database: Database, tenant: str, other: str) -> None:
    """What is used up is as long as the clock goes on meanwhile: a tenant that has just been served is behind."""
    with database.transaction() as sql:
        for _ in range(6):
            make_job(sql, tenant, expected_s=0.001)
    order = [*run_all(database, really_s=0.03, at_most=2)]
    with database.transaction() as sql:
        one = make_job(sql, other, expected_s=0.001)

    order += run_all(database, really_s=0.03)

    assert order.index(one) == 2


def test_who_was_idle_is_owed_nothing(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        many = [make_job(sql, tenant, expected_s=10.0) for _ in range(10)]
    assert run_all(database, takes_s=10.0) == many
    with database.transaction() as sql:
        for owner in [tenant] * 3 + [other] * 6:
            make_job(sql, owner, expected_s=10.0)
        owners = {row.id: row.tenant for row in sql.execute(select(table))}

    order = [owners[job] for job in run_all(database, takes_s=10.0)]

    assert order[0] == other and tenant in order[1:3]


def test_an_expectation_that_is_far_off_moves_nobody_for_long(database: Database, tenant: str, other: str) -> None:
    """Two that are expected to take an hour, and end at once: what the other begins with is not an hour further on."""
    with database.transaction() as sql:
        for _ in range(2):
            make_job(sql, tenant, expected_s=3600.0)
        first, second = claim(sql), claim(sql)
        make_job(sql, other, expected_s=1.0)
        third = claim(sql)
        for found in (first, second, third):
            claims.succeed(sql, found, result={}, cost={})
        for owner in [tenant] * 5 + [other] * 5:
            make_job(sql, owner, expected_s=1.0)
        owners = {row.id: row.tenant for row in sql.execute(select(table))}

    order = [owners[job] for job in run_all(database, takes_s=1.0)]

    assert set(order[:3]) == {tenant, other}


def test_two_tenants_with_full_queues_take_turns(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        for owner in [tenant] * 10 + [other] * 10:
            make_job(sql, owner, expected_s=10.0)
        owners = {row.id: row.tenant for row in sql.execute(select(table))}

    order = [owners[job] for job in run_all(database, takes_s=10.0)]

    assert all({*order[place : place + 2]} == {tenant, other} for place in range(0, 20, 2))


def test_the_share_is_of_time_and_not_of_jobs(database: Database, tenant: str, other: str) -> None:
    """A tenant whose jobs take ten times as long gets one for about ten of the other's."""
    with database.transaction() as sql:
        for _ in range(10):
            make_job(sql, tenant, expected_s=100.0)
        for _ in range(40):
            make_job(sql, other, expected_s=10.0)
        owners = {row.id: row.tenant for row in sql.execute(select(table))}
    order = []
    for _ in range(33):
        with database.transaction() as sql:
            found = claim(sql)
            took_s = 100.0 if found.tenant == tenant else 10.0
            sql.execute(update(attempts).where(attempts.c.job == found.job_id).values(started_at=now() - took_s))
            claims.succeed(sql, found, result={}, cost={})
            order.append(owners[found.job_id])

    assert 2 <= order.count(tenant) <= 4


def test_what_a_job_took_counts_and_not_what_was_expected_of_it(database: Database, tenant: str, other: str) -> None:
    """A tenant whose jobs end at once has used nothing, however long they were expected to take."""
    with database.transaction() as sql:
        early = [make_job(sql, tenant, expected_s=500.0) for _ in range(3)]
    assert run_all(database) == early
    with database.transaction() as sql:
        mine = make_job(sql, tenant, expected_s=1.0)
        for _ in range(5):
            make_job(sql, other, expected_s=1.0)

    assert run_all(database, takes_s=1.0).index(mine) <= 1


def test_help_is_charged_to_whose_job_it_is_and_to_nobody_else(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, expected_s=1.0)
        helped = claim(sql)
        claims.charge_help(sql, helped, 100.0)
        claims.succeed(sql, helped, result={}, cost={})
        served = dict(sql.execute(select(tenants.c.id, tenants.c.served_until)).all())

    assert served[tenant] > 99 and served[other] == 0


def test_a_short_job_overtakes_a_long_one_of_its_tenant(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        long = make_job(sql, tenant, expected_s=3600.0)
        short = make_job(sql, tenant, expected_s=2.0)
        row = {job: job_list.find(sql, tenant, job) for job in (long, short)}
        ahead = {job: job_list.ahead(sql, row[job]) for job in (long, short)}

    assert ahead == {short: 0, long: 1}
    assert run_all(database) == [short, long]


def test_a_long_job_is_overtaken_only_by_what_came_soon_after_it(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        long = make_job(sql, tenant, expected_s=3600.0)
        sql.execute(update(table).values(turn_at=table.c.turn_at - jobs.PATIENCE_S - 1))
        short = make_job(sql, tenant, expected_s=1.0)

    assert run_all(database) == [long, short]


def test_priority_comes_before_everything(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        make_job(sql, other, expected_s=1.0)
        first = make_job(sql, tenant, expected_s=500.0, priority=5)
        second = make_job(sql, tenant, expected_s=500.0, priority=5)

    assert run_all(database)[:2] == [first, second]


def test_of_one_tenant_no_more_run_at_once_than_may(database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        for _ in range(3):
            make_job(sql, tenant)
        others = make_job(sql, other)

        taken = [
            claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30, running_at_most=2) for _ in range(4)
        ]
        due = claims.count_due(sql, "train", running_at_most=2)

    assert [found.tenant if found else None for found in taken].count(tenant) == 2
    assert [found.job_id for found in taken if found and found.tenant == other] == [others]
    assert due == 0


def test_workers_that_claim_at_the_same_moment_keep_to_the_limit_too(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for _ in range(30):
            make_job(sql, tenant)
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        for _ in range(5):
            with database.transaction() as sql:
                claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30, running_at_most=3)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as sql:
        states = list(sql.execute(select(table.c.state)).scalars())
    assert states.count("running") == 3


def test_what_a_worker_cannot_do_is_left_to_a_newer_one(database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant, kind="from_the_future")
        newer = make_job(sql, tenant, action="transcend")
        mine = make_job(sql, tenant)

        assert claims.count_due(sql, "train", skills=SKILLS) == 1
        assert claims.count_due(sql, "train") == 3
        assert claim(sql).job_id == mine
        assert claims.claim_next(sql, "train", worker="w", skills=SKILLS, lease_s=30) is None
        able = Skills(actions=["transcend"], kinds=["classification"])
        found = claims.claim_next(sql, "train", worker="w", skills=able, lease_s=30)

    assert found is not None and found.job_id == newer
