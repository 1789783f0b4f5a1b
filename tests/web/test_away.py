"""A part is away: what can be accepted is, and what cannot is told so that the client comes again."""

import dataclasses
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from migrations.upgrade import upgrade
from shared import keys, queue
from shared.database import Database
from shared.sealing.segments import HEADER_BYTES, TAG_BYTES
from shared.settings import Settings
from shared.tenancy import EVERYONE
from tests import factories, postgres_server
from tests.web import serving
from tests.web.serving import LIMIT_S, Server

JOB = {"action": "train", "kind": "classification", "dataset": "songs"}
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def songs(database: Database, tenant: str) -> str:
    with database.transaction() as sql:
        return factories.make_dataset(sql, tenant, name="songs", profile=factories.SONGS)


def redis_of(settings: Settings) -> Redis:
    return queue.connect(settings)


def claim(database: Database) -> str:
    with database.transaction() as sql:
        return factories.claim(sql).job_id


def test_a_job_is_accepted_with_redis_wiped(server: Server, redis: Settings, database: Database, songs: str) -> None:
    first = server.call("POST", "/v1/jobs", JOB)
    with redis_of(redis) as connection:
        connection.flushall()

    second = server.call("POST", "/v1/jobs", JOB)

    assert (first[0], second[0]) == (202, 202)
    assert {claim(database), claim(database)} == {first[1]["id"], second[1]["id"]}


def test_a_job_is_accepted_with_redis_frozen(server: Server, redis: Settings, database: Database, songs: str) -> None:
    with redis_of(redis) as connection:
        pid = int(connection.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)

    try:
        answers = [server.call("POST", "/v1/jobs", JOB) for _ in range(5)]
    finally:
        os.kill(pid, signal.SIGCONT)

    assert [status for status, _, _ in answers] == [202] * 5
    assert claim(database) == answers[0][1]["id"]


@pytest.mark.hostile("H61")
def test_a_job_is_accepted_with_redis_dead(server: Server, redis: Settings, database: Database, songs: str) -> None:
    with redis_of(redis) as connection:
        pid = int(connection.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)

    status, said, _ = server.call("POST", "/v1/jobs", JOB)

    assert status == 202
    assert claim(database) == said["id"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_locked_sqlite_is_told_with_a_time_to_come_again(
    server: Server, database: Database, redis: Settings, songs: str
) -> None:
    locker = sqlite3.connect(redis.database_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")

    status, said, headers = server.call("POST", "/v1/jobs", JOB)
    reading, _, _ = server.call("GET", "/v1/datasets")
    locker.execute("ROLLBACK")
    locker.close()

    assert (status, said["code"], said["retryable"]) == (503, "unavailable", True)
    assert int(headers["retry-after"]) >= 1
    assert reading == 200
    assert server.call("POST", "/v1/jobs", JOB)[0] == 202


@pytest.fixture
def lone_postgres() -> Iterator[postgres_server.Server]:
    """A PostgreSQL of this test's own, to be hurt."""
    made = postgres_server.start()
    made.create_database("etude")
    upgrade(made.url("etude"))
    yield made
    made.thaw()
    made.stop()


@pytest.mark.hostile("H61")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("harm", ["kill", "freeze"])
def test_a_postgresql_that_is_away_is_told(redis: Settings, lone_postgres: postgres_server.Server, harm: str) -> None:
    chosen = dataclasses.replace(redis, database_url=lone_postgres.url("etude"))
    database = Database(chosen, whose=EVERYONE)
    with database.transaction() as sql:
        tenant = keys.ensure_tenant(sql, "local")
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=chosen.pepper)
        factories.make_dataset(sql, tenant, name="songs", profile=factories.SONGS)
    database.close()
    server = serving.start(chosen, key)

    assert server.call("GET", "/v1/jobs")[0] == 200
    getattr(lone_postgres, harm)()
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(server.call, "GET", "/v1/jobs")
        health = server.call("GET", "/healthz")[0]
        told_meanwhile = answering.done()
        status, said, headers = answering.result(LIMIT_S)

    assert (status, said["code"], said["retryable"]) == (503, "unavailable", True)
    assert int(headers["retry-after"]) >= 1
    assert health == 200
    if harm == "freeze":
        # Health did not wait for it; and what is asked after the thaw is answered, by a new connection.
        assert not told_meanwhile
        lone_postgres.thaw()
        assert server.call("GET", "/v1/jobs")[0] == 200
    server.stop()


@pytest.mark.hostile("H61")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_and_leaves_no_half_file(redis: Settings, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=redis.pepper)
    server = serving.start(redis, key)
    _, opened, _ = server.call("POST", "/v1/datasets", {"name": "large"})
    address = f"/v1/datasets/{opened['id']}/files/t.csv"
    # No file of the process may grow beyond this: the kernel answers as it does when the disk is full.
    resource.prlimit(server.worker().pid, resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    status, said, headers = server.call("PUT", address, b"x" * 5_000_000, **OCTETS)
    small, _, _ = server.call("PUT", address, b"tempo\n1\n", **OCTETS)

    assert (status, said["retryable"]) == (503, True), said
    assert "retry-after" in headers
    assert small == 204
    # Eight bytes, sealed: with a header, and the tag of their only segment.
    sizes = [path.stat().st_size for path in (redis.home / "storage" / "t").rglob("*") if path.is_file()]
    assert sizes == [HEADER_BYTES + 8 + TAG_BYTES]
    server.stop()
