"""Live streams of events, by the real server: nothing missed, nothing twice, and nobody held up."""

import dataclasses
import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select, update

from shared import claims, history, jobs
from shared import keys as keyring
from shared.database import Database
from shared.settings import Settings
from shared.tables import events, keys, tenants
from tests.conftest import PEPPER
from tests.factories import claim, make_job
from tests.waiting import until
from tests.web import serving
from tests.web.listening import Listener, Told
from tests.web.serving import Server
from web.event_ids import EventIds

COST = {"compute_s": 1.0}


def states(told: list[Told]) -> list[str]:
    return [each.data["data"]["state"] for each in told if each.type == "state"]


def ids(told: list[Told]) -> list[int]:
    return [int(each.id) for each in told if each.id is not None]


def test_a_job_is_told_of_to_its_end_and_the_stream_ends(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    listener = Listener(server, f"/v1/jobs/{job}/events")
    listener.wait_for(1)

    with database.transaction() as sql:
        mine = claim(sql)
    listener.wait_for(2)
    with database.transaction() as sql:
        claims.beat(sql, mine, progress={"done": 1, "total": 10, "unit": "epochs"})
    assert until(lambda: "progress" in [each.type for each in listener.told()])
    with database.transaction() as sql:
        claims.succeed(sql, mine, result={}, cost=COST)
    told = listener.wait_end()

    assert listener.status == 200 and b"content-type: text/event-stream" in listener.text.lower()
    assert b"retry: 1000" in listener.body
    assert states(told) == ["queued", "running", "succeeded"]
    assert ids(told) == [1, 2, 3]
    progress = next(each for each in told if each.type == "progress")
    assert progress.id is None and progress.data["data"]["progress"]["done"] == 1
    assert told[0].data["id"] == 1 and told[0].data["type"] == "state"


def test_a_client_that_comes_again_misses_nothing_and_hears_nothing_twice(
    server: Server, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        for at in range(4):
            history.note(sql, tenant, job, "checkpoint", {"at": at})

    first = Listener(server, f"/v1/jobs/{job}/events")
    seen = first.wait_for(5)[:3]
    first.close()
    by_header = Listener(server, f"/v1/jobs/{job}/events", {"Last-Event-ID": str(seen[-1].id)})
    by_query = Listener(server, f"/v1/jobs/{job}/events?last_event_id={seen[-1].id}")

    assert ids(by_header.wait_for(2)) == ids(by_query.wait_for(2)) == [4, 5]
    by_header.close()
    by_query.close()


def test_a_stream_goes_on_over_a_restart_of_the_server(
    server: Server, redis: Settings, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
    first = Listener(server, "/v1/events")
    seen = first.wait_for(1)

    server.stop()
    first.wait_end()
    with database.transaction() as sql:
        later = make_job(sql, tenant)
    again = serving.start(redis, server.key)
    second = Listener(again, "/v1/events", {"Last-Event-ID": str(seen[-1].id)})
    told = second.wait_for(1)

    assert [each.data["job"] for each in told] == [later]
    second.close()
    again.stop()


def test_a_server_with_an_open_stream_stops_at_once(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
    listener = Listener(server, "/v1/events")
    listener.wait_for(1)

    server.process.terminate()

    server.process.wait(10)
    listener.wait_end()


def test_all_jobs_of_a_tenant_in_one_order_and_nobody_elses(
    server: Server, database: Database, tenant: str, other: str
) -> None:
    listener = Listener(server, "/v1/events?after=0")
    with database.transaction() as sql:
        first = make_job(sql, tenant)
        make_job(sql, other)
    with database.transaction() as sql:
        second = make_job(sql, tenant)
        jobs.cancel(sql, tenant, first)
    told = listener.wait_for(3)

    _, pages, _ = server.call("GET", "/v1/events?limit=200")
    assert [(each.data["job"], each.data["data"]["state"]) for each in told] == [
        (first, "queued"), (second, "queued"), (first, "cancelled"),
    ]  # fmt: skip
    assert [each.id for each in told] == [each["id"] for each in pages["data"]]
    assert pages["next_cursor"] is None and pages["after"] == pages["data"][-1]["id"]
    listener.close()


def test_a_filter_of_types_and_of_a_job(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        wanted = make_job(sql, tenant)
        history.note(sql, tenant, wanted, "warning", {"code": "leakage_suspected"})

    _, warnings, _ = server.call("GET", "/v1/events?type=warning,promotion")
    _, of_one, _ = server.call("GET", f"/v1/events?job={wanted}")
    stream = Listener(server, f"/v1/events?job={wanted}&type=warning")

    assert [each["type"] for each in warnings["data"]] == ["warning"]
    assert [each["job"] for each in of_one["data"]] == [wanted, wanted]
    assert [each.type for each in stream.wait_for(1)] == ["warning"]
    stream.close()


def test_pages_go_on_where_the_one_before_ended(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        made = [make_job(sql, tenant) for _ in range(7)]

    seen, after = [], "0"
    while after is not None:
        _, page, _ = server.call("GET", f"/v1/events?limit=3&after={after}")
        seen += [each["job"] for each in page["data"]]
        after = page["next_cursor"]

    assert seen == made


def test_the_stream_of_a_job_that_has_ended(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        jobs.cancel(sql, tenant, job)

    whole = Listener(server, f"/v1/jobs/{job}/events").wait_end()
    status, said, _ = server.call("GET", f"/v1/jobs/{job}/events", Accept="text/event-stream", **{"Last-Event-ID": "2"})

    assert states(whole) == ["queued", "cancelled"]
    # A browser that is told so does not come again.
    assert (status, said) == (204, None)


@pytest.mark.parametrize("said", ["x", "-1", "1.5", "9" * 30, "%00", "1e3"])
def test_an_id_that_is_none_is_refused(server: Server, database: Database, tenant: str, said: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)

    for path, code in ((f"/v1/jobs/{job}/events", "invalid_parameter"), ("/v1/events", "event_unknown")):
        status, problem, _ = server.call("GET", path, Accept="text/event-stream", **{"Last-Event-ID": said})
        assert (status, problem["code"]) == (422, code)


def test_an_id_of_an_event_that_has_not_been_is_refused(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        longer = make_job(sql, tenant)
        for at in range(5):
            history.note(sql, tenant, longer, "checkpoint", {"at": at})

    # The last id of the other job is one that this job has not come to.
    of_another = server.call("GET", f"/v1/jobs/{job}/events", Accept="text/event-stream", **{"Last-Event-ID": "6"})
    far = EventIds(PEPPER).say(tenant, 9 * 10**15)
    future = server.call("GET", "/v1/events", Accept="text/event-stream", **{"Last-Event-ID": far})
    page = server.call("GET", f"/v1/events?after={far}")

    assert [(said[0], said[1]["code"]) for said in (of_another, future, page)] == [(422, "event_unknown")] * 3


def test_an_id_says_nothing_of_others_and_is_nobody_elses(
    server: Server, database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        position = sql.execute(select(events.c.position)).scalar_one()
    _, page, _ = server.call("GET", "/v1/events")

    ids = EventIds(PEPPER)
    assert page["data"][0]["id"] == page["after"] == ids.say(tenant, position)
    # Of one position another tenant is told another id, and it opens nothing here.
    status, problem, _ = server.call("GET", f"/v1/events?after={ids.say(other, position)}")
    assert (status, problem["code"]) == (422, "event_unknown")
    assert server.call("GET", f"/v1/events?after={page['after']}")[1]["data"] == []


def test_an_unknown_job_and_somebody_elses_are_answered_alike(server: Server, database: Database, other: str) -> None:
    with database.transaction() as sql:
        theirs = make_job(sql, other)

    for path in ("/v1/jobs/{}/events", "/v1/events?job={}"):
        answers = []
        for job in (theirs, f"job_{'0' * 26}"):
            status, said, headers = server.call("GET", path.format(job), Accept="text/event-stream")
            said.pop("request_id")
            answers.append((status, said, headers["content-type"]))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


def test_accept_head_and_no_key(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    path = f"/v1/jobs/{job}/events"

    both = server.call("GET", path, Accept="application/json, text/event-stream;q=0.5")
    neither = server.call("GET", path, Accept="image/png")
    head = server.call("HEAD", path, Accept="text/event-stream")
    nobody = server.call("GET", path, Accept="text/event-stream", Authorization="Bearer x")

    # As on every other call, what cannot be had is answered as JSON.
    assert both[0] == neither[0] == 200 and len(both[1]["data"]) == len(neither[1]["data"]) == 1
    assert (head[0], head[1], head[2]["content-type"]) == (200, None, "text/event-stream")
    assert nobody[0] == 401


def test_a_revoked_key_ends_its_streams_within_seconds(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    listeners = [Listener(server, f"/v1/jobs/{job}/events"), Listener(server, "/v1/events")]
    for listener in listeners:
        listener.wait_for(1)

    with database.transaction() as sql:
        sql.execute(update(keys).values(revoked_at=1.0))

    for listener in listeners:
        listener.wait_end(limit_s=12)


def test_a_key_that_expires_ends_its_streams(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    listener = Listener(server, f"/v1/jobs/{job}/events")
    listener.wait_for(1)

    with database.transaction() as sql:
        sql.execute(update(keys).values(expires_at=1.0))

    listener.wait_end(limit_s=12)


def test_the_streams_of_a_tenant_that_is_suspended_end(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
    listener = Listener(server, "/v1/events")
    listener.wait_for(1)

    with database.transaction() as sql:
        sql.execute(update(tenants).values(suspended_at=1.0))

    listener.wait_end(limit_s=12)


@pytest.fixture
def small(redis: Settings, server: Server) -> Iterator[serving.Server]:
    """A second server that has room for four streams."""
    running = serving.start(dataclasses.replace(redis, streaming_clients=4), server.key)
    yield running
    running.stop()


def test_there_are_only_so_many_streams_and_a_place_is_free_again(
    small: Server, database: Database, tenant: str, other: str
) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        made = key_of(sql, other)
    mine = [Listener(small, "/v1/events") for _ in range(2)]
    for listener in mine:
        listener.wait_for(1)

    status, said, headers = small.call("GET", "/v1/events", Accept="text/event-stream")
    theirs = [Listener(small, "/v1/events", {"Authorization": f"Bearer {made}"}) for _ in range(2)]
    assert [listener.status for listener in theirs] == [200, 200]
    third = small.call("GET", "/v1/events", Accept="text/event-stream", Authorization=f"Bearer {made}")
    page = small.call("GET", "/v1/events")
    mine[0].close()

    assert (status, said["code"], said["retryable"], "Retry-After" in headers or "retry-after" in headers) == (
        429, "too_many_streams", True, True,
    )  # fmt: skip
    assert (third[0], third[1]["code"]) == (503, "too_many_streams")
    assert page[0] == 200
    # Whoever has gone is noticed without a word.
    assert until(lambda: has_place(small))
    for listener in (mine[1], *theirs):
        listener.close()


def has_place(server: Server) -> bool:
    listener = Listener(server, "/v1/events")
    status = listener.status
    listener.close()
    return status == 200


def key_of(sql: Connection, tenant: str) -> str:
    return keyring.create(sql, tenant, name="theirs", scope=keyring.READ, pepper=PEPPER)


def test_many_idle_streams_hold_no_thread_each(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    before = server.worker().num_threads()
    listeners = [Listener(server, f"/v1/jobs/{job}/events") for _ in range(100)]
    for listener in listeners:
        listener.wait_for(1)

    grown = server.worker().num_threads() - before
    with database.transaction() as sql:
        jobs.cancel(sql, tenant, job)
    ends = [states(listener.wait_end()) for listener in listeners]

    # The streams' own, and those of the pool that answered the requests.
    assert grown <= 40
    assert ends == [["queued", "cancelled"]] * 100


@pytest.mark.parametrize("is_forked", [False])
def test_a_slow_reader_makes_no_memory_grow_and_can_go_on(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
        for at in range(2000):
            history.note(sql, tenant, job, "warning", {"code": "leakage_suspected", "detail": f"{at} " + "x" * 4000})
    server.call("GET", "/healthz")
    before = server.worker().memory_info().rss
    idle = []
    for _ in range(20):
        reader = socket.create_connection(("127.0.0.1", server.port))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(
            f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
            "Accept: text/event-stream\r\n\r\n".encode()
        )
        idle.append(reader)

    seen: list[int] = []
    while not seen or seen[-1] < 2001:
        told = Listener(server, f"/v1/jobs/{job}/events", {"Last-Event-ID": str(seen[-1] if seen else 0)})
        # It ends after a quarter of a megabyte, or stays open at the end of what there is.
        assert until(lambda told=told: told.has_ended or ids(told.told())[-1:] == [2001])
        seen += ids(told.told())
        told.close()
    grown = server.worker().memory_info().rss - before

    assert seen == list(range(1, 2002))
    # Of 20 × 8 MB, no more than what each may hold, and what the interpreter keeps.
    assert grown < 64 * 2**20
    for reader in idle:
        reader.close()
