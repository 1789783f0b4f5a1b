"""Spans arrive at a collector, a server that reads OTLP: of requests, and of a job with its attempts and stages."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared import claims, keys, traces
from shared import settings as reading
from shared.database import Database
from shared.errors import JobFailed
from shared.settings import Settings
from shared.storage import Storage
from shared.traces import Span
from tests.waiting import until
from tests.web import serving
from tests.worker import working
from worker import runner, tracing


class Collector:
    """What has arrived, span by span."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        taken = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                taken.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """The test asks what has come."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def spans(self) -> list[Any]:
        return [
            span for request in self.requests for each in request.resource_spans for scope in each.scope_spans
            for span in scope.spans
        ]  # fmt: skip

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: what is told comes out of rows that both have alike."""
    return sqlite_url


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def traced(settings: Settings, collector: Collector) -> Settings:
    return dataclasses.replace(settings, traces_url=collector.url)


def said(span: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_job_is_one_trace_with_its_attempt_and_stages(
    traced: Settings, collector: Collector, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    post = working.make_post(traced, database, storage)
    dataset = working.store_dataset(post, tenant, tmp_path)
    job = working.submit(post, tenant, dataset, params=working.SHORT)

    runner.run(post, "train", only_tenant=None)

    traces.flush(traced, traces.WORKER)
    assert working.find(post, job).state == "succeeded"
    # What the thread behind it had begun to send is not waited for.
    assert until(lambda: bool(collector.named("train job")))
    trace, first = (number.to_bytes(size, "big") for number, size in zip(traces.ids_of(job), (16, 8), strict=True))
    assert {span.trace_id for span in collector.spans} == {trace}
    (whole,), (attempt,) = collector.named("train job"), collector.named("attempt")
    assert (whole.span_id, whole.parent_span_id, attempt.parent_span_id) == (first, b"", first)
    assert said(whole)["etude.state"] == "succeeded"
    assert said(attempt) == {
        "etude.job": job, "etude.action": "train", "etude.kind": "classification", "etude.tenant": tenant,
        "etude.attempt": 1, "etude.worker": "worker-1", "etude.outcome": "succeeded",
    }  # fmt: skip
    stages = [span for span in collector.spans if span.parent_span_id == attempt.span_id]
    assert [span.name for span in stages] == working.stages(post, job)
    # Two statements of one transaction, which in SQLite have a clock each.
    assert whole.start_time_unix_nano <= attempt.start_time_unix_nano <= stages[0].start_time_unix_nano
    assert [span.end_time_unix_nano for span in stages[:-1]] == [span.start_time_unix_nano for span in stages[1:]]
    assert stages[-1].end_time_unix_nano == attempt.end_time_unix_nano


def test_what_fails_is_told_as_failed_and_without_its_words(
    traced: Settings, collector: Collector, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    post = working.make_post(traced, database, storage)
    job = working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path), params=working.SHORT)
    claim = runner.claim_next(post, "train", only_tenant=None)
    assert claim is not None
    with database.transaction() as sql:
        claims.fail(sql, claim, JobFailed("The cell 'hush' is none.", code="cell_unfit"), cost={})

    tracing.tell(post, claim)

    traces.flush(traced, traces.WORKER)
    assert [(span.name, span.status.code) for span in collector.spans if span.status.code] == [
        ("attempt", 2), ("train job", 2)
    ]  # fmt: skip
    assert said(collector.named("train job")[0])["etude.job"] == job
    assert all("hush" not in str(request) for request in collector.requests)


def test_a_request_has_a_trace_that_is_linked_to_its_job(
    traced: Settings, collector: Collector, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    post = working.make_post(traced, database, storage)
    job = working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path), params=working.SHORT)
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=traced.pepper)
    server = serving.start(traced, key)
    try:
        assert server.call("GET", f"/v1/jobs/{job}?secret=hush")[0] == 422
        assert server.call("GET", "/nowhere/hush")[0] == 404
        assert until(lambda: len(collector.spans) >= 2, limit_s=20.0)
    finally:
        server.stop()

    trace, _ = traces.ids_of(job)
    (asked,) = collector.named("GET /v1/jobs/<job_id>")
    assert [int.from_bytes(link.trace_id, "big") for link in asked.links] == [trace]
    assert said(asked)["etude.job"] == job and said(asked)["etude.tenant"] == tenant
    assert collector.named("GET unmatched") and not collector.named("GET /healthz")
    assert all("hush" not in str(request) for request in collector.requests)


def test_a_collector_that_is_away_holds_nobody_up(
    settings: Settings, database: Database, storage: Storage, tenant: str, tmp_path: Path
) -> None:
    traced = dataclasses.replace(settings, traces_url="http://127.0.0.1:9/v1/traces")
    now = time.time()
    for _ in range(2 * traces.WAITING_AT_MOST):
        traces.tell_request(traced, Span("GET /v1/kinds", now, now, {}), job="job_1")
    post = working.make_post(traced, database, storage)
    job = working.submit(post, tenant, working.store_dataset(post, tenant, tmp_path), params=working.SHORT)

    runner.run(post, "train", only_tenant=None)

    assert working.find(post, job).state == "succeeded"


def test_without_the_library_nothing_starts_that_should_tell(traced: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "LIBRARY", "opentelemetry.exporter.nowhere")
    with pytest.raises(reading.SettingsWrong, match=r"requirements/traces\.txt"):
        traces.demand(traced)
    traces.demand(dataclasses.replace(traced, traces_url=""))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(reading.SettingsWrong, match="ETUDE_TRACES_URL"):
        reading.read({"ETUDE_TRACES_URL": "collector:4317"})
