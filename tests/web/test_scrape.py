"""/metrics: what it tells, of whom it says nothing, who may read it."""

import dataclasses
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from sqlalchemy import delete, update

from shared import claims, jobs, recovery, tallies, workers
from shared.database import Database
from shared.errors import EtudeError, JobFailed
from shared.settings import Settings
from shared.tables import attempts as attempts_table
from shared.tables import events, job_labels
from shared.tables import jobs as table
from shared.tables import workers as slots
from shared.tenancy import EVERYONE
from tests.factories import claim, make_job
from tests.web.calling import Caller, a_key
from tests.web.serving import Server
from web import observing
from web.app import create_app, create_services

COST = {"compute_s": 1.0}
LABELS = {"action", "state", "reason", "outcome", "queue", "route", "method", "status", "le", "version",
          "generation", "implementation", "worker", "device"}  # fmt: skip
CARDS = [{"index": index, "name": "H100", "used_bytes": 7 * index, "total_bytes": 2**36} for index in (0, 1)]

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scrape asks the database."""
    monkeypatch.setattr(observing, "KEPT_S", 0.0)


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def scraped(client: FlaskClient) -> Samples:
    answer = client.get("/metrics")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return samples(answer.text)


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def test_a_lost_a_failed_and_a_good_job_are_counted(client: FlaskClient, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        make_job(sql, tenant)
        lost = claim(sql)
        sql.execute(update(table).values(lease_until=1.0))
        recovery.reap(sql)
        claims.succeed(sql, claim(sql), result={}, cost=COST)
        make_job(sql, tenant)
        claims.fail(sql, claim(sql), JobFailed("No."), cost=COST)
        waiting = make_job(sql, tenant)
    tallies.fold(database)
    found = scraped(client)

    assert lost.attempt == 1 and waiting
    assert value(found, "etude_jobs_submitted_total", action="train") == 3
    assert value(found, "etude_jobs_ended_total", action="train", state="succeeded") == 1
    assert value(found, "etude_jobs_ended_total", action="train", state="failed") == 1
    assert value(found, "etude_jobs_requeued_total", action="train", reason="worker_lost") == 1
    assert value(found, "etude_attempts_begun_total", action="train") == 3
    assert value(found, "etude_attempts_ended_total", action="train", outcome="lost") == 1
    assert value(found, "etude_attempts_ended_total", action="train", outcome="succeeded") == 1
    assert value(found, "etude_job_seconds_count", action="train", state="succeeded") == 1
    assert value(found, "etude_job_seconds_bucket", action="train", state="succeeded", le="+Inf") == 1
    assert value(found, "etude_queue_jobs", queue="train") == 1
    assert value(found, "etude_queue_jobs", queue="light") == 0
    assert value(found, "etude_database_up") == 1


def test_nothing_is_counted_twice_and_a_deletion_takes_nothing_back(
    client: FlaskClient, database: Database, tenant: str
) -> None:
    with database.transaction() as sql:
        for _ in range(3):
            jobs.cancel(sql, tenant, make_job(sql, tenant))
    tallies.fold(database)
    tallies.fold(database)
    before = scraped(client)

    with database.transaction() as sql:
        for child in (events, job_labels, attempts_table):
            sql.execute(delete(child))
        sql.execute(delete(table))
    tallies.fold(database)

    assert value(before, "etude_jobs_ended_total", action="train", state="cancelled") == 3
    assert value(scraped(client), "etude_jobs_ended_total", action="train", state="cancelled") == 3
    # They ended in the queue: there is no time that they took.
    assert value(before, "etude_job_seconds_count", action="train", state="cancelled") is None


def test_schedulers_that_count_at_once_count_each_event_once(
    database: Database, tenant: str, settings: Settings
) -> None:

    with database.transaction() as sql:
        for _ in range(250):
            make_job(sql, tenant)
    others = [Database(settings, whose=EVERYONE) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tallies.fold, others))
    for other in others:
        other.close()
    tallies.fold(database)

    with database.reading() as sql:
        assert [(each.tally.series, each.times) for each in tallies.every(sql)] == [("submitted", 250)]


def test_durations_fall_into_the_bucket_that_holds_them(client: FlaskClient, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        for seconds in (0.2, 10.0, 100_000.0):
            make_job(sql, tenant)
            mine = claim(sql)
            sql.execute(update(table).where(table.c.id == mine.job_id).values(started_at=table.c.started_at - seconds))
            claims.succeed(sql, mine, result={}, cost=COST)
    tallies.fold(database)
    found = scraped(client)

    counts = [
        value(found, "etude_job_seconds_bucket", action="train", state="succeeded", le=edge)
        for edge in ("1.0", "5.0", "15.0", "86400.0", "+Inf")
    ]
    assert counts == [1, 1, 2, 2, 3]
    total = value(found, "etude_job_seconds_sum", action="train", state="succeeded")
    assert total is not None and 100_010 <= total < 100_070


def test_workers_and_jobs_that_nobody_takes_back(
    client: FlaskClient, database: Database, tenant: str, settings: Settings
) -> None:
    with database.transaction() as sql:
        for name in ("one", "two", "three"):
            workers.boot(sql, name, boot=name, queue="train", pid=1, containment="landlock")
        workers.boot(sql, "four", boot="four", queue="light", pid=1, containment="seccomp")
        assert workers.beat(sql, "one", memory_bytes=2**20)
        workers.drain(sql, "two")
        sql.execute(update(slots).where(slots.c.name == "three").values(beat_at=1.0))
        make_job(sql, tenant)
        claim(sql)
        sql.execute(update(table).values(lease_until=1.0))
        tallies.add(sql, tallies.Tally(tallies.DEAF, "", "train"))
    found = scraped(client)

    states = [value(found, "etude_workers", queue="train", state=each) for each in ("alive", "draining", "silent")]
    assert states == [1, 1, 1]
    assert value(found, "etude_jobs_silent") == 1
    assert value(found, "etude_workers_memory_bytes", queue="train") == 2**20
    # The third is silent: what it reached says nothing of those that work.
    assert value(found, "etude_workers_contained", queue="train", tier="landlock") == 2
    assert value(found, "etude_workers_contained", queue="light", tier="seccomp") == 1
    assert value(found, "etude_jobs_running", action="train") == 1
    assert value(found, "etude_workers_deaf_total", queue="train") == 1


def test_the_memory_of_cards_is_told_of_those_that_beat_and_of_nobody_else(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as sql:
        for name in ("two", "silent", "none", "again"):
            workers.boot(sql, name, boot=name, queue="train", pid=1)
            workers.beat(sql, name, devices=[] if name == "none" else CARDS)
        sql.execute(update(slots).where(slots.c.name == "silent").values(beat_at=1.0))
        # Started once more, and elsewhere: it has told of no card yet.
        workers.boot(sql, "again", boot="again-2", queue="train", pid=1)
    found = scraped(client)

    told = {named: taken for (name, named), taken in found.items() if name.startswith("etude_device_memory_used")}
    assert told == {(("device", "0"), ("worker", "two")): 0, (("device", "1"), ("worker", "two")): 7}
    assert value(found, "etude_device_memory_total_bytes", worker="two", device="1") == 2**36


def test_no_label_has_anything_of_a_tenant(
    client: FlaskClient, database: Database, settings: Settings, tenant: str
) -> None:
    canary = "canary_7f3a"
    caller = Caller(client, a_key(database, settings, tenant))
    with database.transaction() as sql:
        made = make_job(sql, tenant, model=canary, labels={canary: canary}, params={"x": canary})
        claims.fail(sql, claim(sql, worker=canary), EtudeError(canary), cost=COST)
    caller.call("GET", f"/v1/jobs/{made}")
    caller.call("GET", f"/v1/{canary}/{canary}?{canary}={canary}")
    caller.call("GET", f"/v1/models/{canary}")
    tallies.fold(database)

    answer = client.get("/metrics")

    assert canary not in answer.text and tenant not in answer.text and made not in answer.text
    assert {label for family in parse(answer.text) for sample in family.samples for label in sample.labels} <= LABELS


def test_every_series_is_in_the_operators_table_and_no_other(
    client: FlaskClient, database: Database, tenant: str
) -> None:
    section = Path("docs/operations.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    said = dict(re.findall(r"(?m)^\| `([a-z_]+)(?:\{[a-z,]+\})?` \| (\w+) \|", section))

    families = {family.name: family for family in parse(client.get("/metrics").text)}
    own = {name: family.type for name, family in families.items() if name.startswith("etude_")}
    own = {f"{name}_total" if kind == "counter" else name: kind for name, kind in own.items()}

    assert {name: kind for name, kind in own.items() if not name.endswith("_created")} == said


def test_openmetrics_by_accept(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=x, text/plain"})

    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(answer.text)} >= {"etude_database_up", "etude_jobs_ended"}


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.2", "8.8.8.8", "2001:db8::1", "", "nowhere"])
def test_without_a_token_nobody_elses_host_is_told(client: FlaskClient, address: str) -> None:
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": address})

    assert (answer.status_code, answer.json["code"]) == (403, "metrics_private")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_without_a_token_this_host_is_told_unless_it_asks_for_another(client: FlaskClient, address: str) -> None:
    own = client.get("/metrics", environ_base={"REMOTE_ADDR": address})
    passed_on = [
        client.get("/metrics", environ_base={"REMOTE_ADDR": address}, headers={name: "10.0.0.5"}).status_code
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")
    ]

    assert own.status_code == 200
    assert passed_on == [403] * 4


@pytest.fixture
def guarded(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(create_services(dataclasses.replace(settings, metrics_token="t" * 32)))
    yield app.test_client()
    app.extensions["etude"].database.close()


def test_with_a_token_it_alone_opens(guarded: FlaskClient, database: Database, settings: Settings, tenant: str) -> None:
    def status(authorization: str | None) -> int:
        headers = {} if authorization is None else {"Authorization": authorization}
        return guarded.get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.5"}, headers=headers).status_code

    assert status(f"Bearer {'t' * 32}") == 200
    refused = [None, "Bearer ", f"Bearer {'t' * 31}", f"Basic {'t' * 32}", "Bearer ü", f"Bearer {'t' * 33}"]
    assert [status(each) for each in refused] == [401] * len(refused)
    # A tenant's key is none.
    assert status(f"Bearer {a_key(database, settings, tenant)}") == 401
    assert guarded.get("/metrics").status_code == 401


def test_a_database_that_is_away_is_told_of(settings: Settings) -> None:
    is_file = settings.database_url.startswith("sqlite")
    gone = "sqlite:////nowhere/at/all.db" if is_file else "postgresql+psycopg://x@127.0.0.1:1/x"
    app = create_app(create_services(dataclasses.replace(settings, database_url=gone)))

    found = scraped(app.test_client())

    assert value(found, "etude_database_up") == 0
    assert not any(name.startswith("etude_jobs") for name, _ in found)


def test_the_real_server_counts_what_it_answers(server: Server) -> None:
    assert server.call("GET", "/v1/jobs")[0] == 200
    assert server.call("GET", "/v1/nothing")[0] == 404
    assert server.call("GET", "/v1/models/nothing")[0] == 404
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = samples(answer.read().decode())

    assert value(found, "etude_http_requests_total", route="/v1/jobs", method="GET", status="200") == 1
    assert value(found, "etude_http_requests_total", route="unmatched", method="GET", status="404") == 1
    assert value(found, "etude_http_requests_total", route="/v1/models/<name>", method="GET", status="404") == 1
    assert value(found, "etude_http_request_seconds_count", route="/v1/jobs", method="GET") == 1
    assert (value(found, "process_resident_memory_bytes") or 0) > 2**20
