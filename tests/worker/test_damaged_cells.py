"""What of one tenant can be opened no more harms no other: the scheduler, workers, deliveries and streams go on."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import JSON, bindparam, delete, select, text, update

from shared import claims, history, jobs, keys, schedules, tallies, webhooks, workers
from shared.database import Database, now
from shared.errors import Damaged
from shared.sealing.cells import place_of
from shared.sealing.key_store import KeyStore
from shared.sealing.key_tables import object_keys
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import deliveries as delivery_table
from shared.tables import jobs as table
from shared.tables import schedules as schedule_table
from shared.tallies import Tally
from shared.tenancy import EVERYONE
from tests.factories import SONGS, claim, make_dataset, make_job
from tests.receiver import LOOPBACK, receiving
from tests.waiting import until
from tests.web import serving
from tests.web.listening import Listener
from tests.worker import working
from worker import runner
from worker.deliveries import Delivering
from worker.tick import Tick

NIGHTLY = {
    "name": "nightly", "cron": "* * * * *", "timezone": "UTC", "overlap": "skip", "misfire": "once",
    "misfire_grace_s": 3600.0, "job": {"action": "train", "kind": "classification", "dataset": "songs"},
}  # fmt: skip


def lose_key(keys_: KeyStore, tenant: str) -> None:
    """As after keys were restored that are older than the tenant."""
    with keys_.transaction() as sql:
        sql.execute(delete(object_keys).where(object_keys.c.place == place_of(tenant)))


def damage_key(keys_: KeyStore, tenant: str) -> None:
    mine = object_keys.c.place == place_of(tenant)
    with keys_.transaction() as sql:
        wrapped = bytearray(sql.execute(select(object_keys.c.wrapped).where(mine)).scalar_one())
        wrapped[20] ^= 1
        sql.execute(update(object_keys).where(mine).values(wrapped=bytes(wrapped)))


@pytest.fixture(params=[lose_key, damage_key])
def harm(request: pytest.FixtureRequest, redis: Settings) -> Callable[[str], None]:
    """Leaves nothing of a tenant that can be opened."""

    def harm_it(tenant: str) -> None:
        opened = KeyStore(redis)
        request.param(opened, tenant)
        opened.close()

    return harm_it


def test_the_scheduler_goes_on_for_everybody_else(
    redis: Settings, database: Database, storage: Storage, tenant: str, other: str, harm: Callable[[str], None]
) -> None:
    with database.transaction() as sql:
        lost = {}
        for each in (tenant, other):
            make_dataset(sql, each, name="songs", profile=SONGS)
            schedules.create(sql, each, NIGHTLY, redis)
            lost[each] = make_job(sql, each)
        workers.boot(sql, "gone", boot="b", queue="train", pid=1)
        for _ in lost:
            claim(sql, worker="gone")
        late = {each: make_job(sql, each, deadline_s=60.0) for each in (tenant, other)}
        sql.execute(update(table).where(table.c.id.in_(late.values())).values(deadline_at=now() - 1))
        sql.execute(update(table).where(table.c.id.in_(lost.values())).values(lease_until=now() - 1))
        sql.execute(update(schedule_table).values(next_at=time.time() // 60 * 60))
    harm(other)
    scheduler = Tick(redis)

    for _ in range(2):
        scheduler.run_once()
    scheduler.close()

    with database.of(tenant).reading() as sql:
        rows = {row.id: row for row in sql.execute(select(table))}
        (schedule,) = sql.execute(select(schedule_table)).all()
        counted = tallies.every(sql)
    assert rows[lost[tenant]].state == jobs.QUEUED and rows[late[tenant]].error["code"] == "deadline_passed"
    assert len([row for row in rows.values() if row.schedule == schedule.id]) == 1 and schedule.next_at is not None
    assert Tally(tallies.ENDING, "train", jobs.FAILED) in {each.tally for each in counted}


def test_a_worker_goes_on_with_what_is_behind_it(
    redis: Settings, database: Database, storage: Storage, tenant: str, other: str, tmp_path: Path,
    harm: Callable[[str], None],
) -> None:  # fmt: skip
    post = working.make_post(redis, database, storage)
    mine = working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path))
    with database.transaction() as sql:
        (theirs, also_theirs) = (make_job(sql, other, priority=10, params={"epochs": 3}) for _ in range(2))
    harm(other)
    fresh = Database(redis, whose=EVERYONE)
    post = dataclasses.replace(post, database=fresh)

    for _ in range(3):
        runner.run(post, "train", only_tenant=None)

    with database.of(tenant).reading() as sql:
        assert sql.execute(select(table.c.state).where(table.c.id == mine)).scalar_one() == jobs.SUCCEEDED
    with database.reading() as sql:
        columns = (table.c.state, (table.c.run_after > now()).label("is_put_off"))
        rows = sql.execute(select(*columns).where(table.c.id.in_([theirs, also_theirs]))).all()
    # Tried, and told as damaged; or never begun, where not even that can be written down.
    assert {(row.state, row.is_put_off) for row in rows} <= {(jobs.FAILED, False), (jobs.QUEUED, True)}
    with fresh.of(other).reading() as sql, pytest.raises(Damaged):
        sql.execute(select(table.c.params).where(table.c.id == theirs)).all()
    fresh.close()


def test_what_others_are_told_is_delivered(
    redis: Settings, database: Database, tenant: str, other: str, harm: Callable[[str], None]
) -> None:
    with receiving() as receiver:
        with database.transaction() as sql:
            for each in (other, tenant):
                webhook = webhooks.create(sql, each, url=receiver.url, events=["*"], description=None).id
                webhooks.ping(sql, each, webhook)
        harm(other)
        delivering = Delivering(dataclasses.replace(redis, webhook_private=LOOPBACK))

        delivering.run_once()
        assert until(lambda: len(receiver.messages) == 1)
        delivering.close()

    with database.reading() as sql:
        states = dict(sql.execute(select(delivery_table.c.tenant, delivery_table.c.state)).all())
    assert states == {tenant: webhooks.DELIVERED, other: webhooks.WAITING}


def test_streams_of_others_go_on(redis: Settings, database: Database, tenant: str, other: str) -> None:
    with database.transaction() as sql:
        mine, theirs = (make_job(sql, each) for each in (tenant, other))
        keyed = {
            each: keys.create(sql, each, name="test", scope=keys.ADMIN, pepper=redis.pepper) for each in (tenant, other)
        }
        claimed = {each.tenant: each for each in (claim(sql), claim(sql))}
        for each in claimed.values():
            claims.beat(sql, each, progress={"done": 1, "total": 10, "unit": "epochs"})
    server = serving.start(redis, keyed[tenant])
    try:
        of_job, of_all = (Listener(server, path) for path in (f"/v1/jobs/{mine}/events", "/v1/events"))
        harmed = dataclasses.replace(server, key=keyed[other])
        unreadable = [Listener(harmed, path) for path in (f"/v1/jobs/{theirs}/events", "/v1/events")]
        for each in (of_job, of_all, *unreadable):
            each.wait_for(2)
        with database.transaction() as sql:
            history.note(sql, other, theirs, "checkpoint", {"at": 1})
            for name, column in (("events", "data"), ("jobs", "progress")):
                cut = text(f"UPDATE {name} SET {column} = :cut WHERE tenant = :of AND {column} IS NOT NULL")
                typed = cut.bindparams(bindparam("cut", type_=JSON))
                sql.execute(typed, {"cut": f"s1.{other}.{'A' * 60}", "of": other})

        for each in unreadable:
            each.wait_end()
        with database.transaction() as sql:
            jobs.cancel(sql, tenant, mine)
            claims.beat(sql, claimed[tenant], progress={"done": 2, "total": 10, "unit": "epochs"})
        assert until(lambda: "progress" in [each.type for each in of_job.told()][-1:])
        with database.transaction() as sql:
            claims.finish_cancelled(sql, claimed[tenant], cost={"compute_s": 1.0})
        of_job.wait_end()
        assert until(lambda: of_all.told()[-1].data["data"].get("state") == "cancelled")
    finally:
        server.stop()
