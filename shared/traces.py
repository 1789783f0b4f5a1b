"""Spans for a collector of OpenTelemetry, where an operator has one (ETUDE_TRACES_URL): OTLP over HTTP.

The library is an extra (requirements/traces.txt), and loaded where a collector is named alone. A job's trace, and its
first span, follow from its id: so web and workers on other machines need to tell each other nothing of it. Spans have
ids, names of ours, states and codes, and nothing that a client made up. They are sent in the background; what waits
when a process ends, or for a collector that is away, may be lost.
"""

import functools
import hashlib
import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.settings import Settings, SettingsWrong

LIBRARY = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
# Spans wait so long for others, and at most so many of them while the collector is away: then they are dropped.
DELAY_MS, WAITING_AT_MOST = 1000, 4096
TIMEOUT_S = 5.0
NANO = 1_000_000_000
WEB, WORKER = "etude-web", "etude-worker"

Otel = Any  # Any: loaded where it is wanted alone


@dataclass(frozen=True)
class Span:
    """What took how long, in seconds since 1970."""

    name: str
    began: float
    ended: float
    attributes: dict[str, str | int]
    has_failed: bool = False


def demand(chosen: Settings) -> None:
    """Raise SettingsWrong where a collector is named, and nothing is installed that could tell it."""
    if not chosen.traces_url:
        return
    try:
        found = importlib.util.find_spec(LIBRARY)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise SettingsWrong(
            "Etude cannot start.\nETUDE_TRACES_URL is set, and what sends spans is not installed: "
            "pip install --require-hashes -r requirements/traces.txt"
        )


def prepare(chosen: Settings) -> None:
    """Load the library in a web process before its first request would wait for that."""
    if chosen.traces_url:
        _teller(chosen.traces_url, WEB, os.getpid())


def tell_request(chosen: Settings, span: Span, *, job: str | None) -> None:
    """A trace of its own, with a link to that of the job which the request is about."""
    if not chosen.traces_url:
        return
    teller = _teller(chosen.traces_url, WEB, os.getpid())
    teller.tell(span, parent=teller.nowhere, links=[] if job is None else [teller.link(job)])


def tell_attempt(chosen: Settings, job: str, attempt: Span, stages: Sequence[Span], whole: Span | None) -> None:
    """An attempt and its stages in the trace of their job; with its last attempt the job itself, from its beginning."""
    if not chosen.traces_url:
        return
    teller = _teller(chosen.traces_url, WORKER, os.getpid())
    above = teller.tell(attempt, parent=teller.of_job(job))
    for stage in stages:
        teller.tell(stage, parent=above)
    if whole is not None:
        teller.tell_job(job, whole)


def flush(chosen: Settings, service: str) -> None:
    """Send what waits now, or try to."""
    _teller(chosen.traces_url, service, os.getpid()).provider.force_flush()


def ids_of(job: str) -> tuple[int, int]:
    """Of the trace of a job, 128 bits, and of its first span, 64."""
    digest = hashlib.sha256(f"etude trace {job}".encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")


@functools.cache
def _teller(url: str, service: str, pid: int) -> "_Teller":
    """One a process: what sends in the background does not outlive a fork."""
    return _Teller(url, service)


class _Teller:
    def __init__(self, url: str, service: str) -> None:
        from opentelemetry import context, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """At random, but for the one span of a job that is known by its id."""

            given: tuple[int, int] | None = None

            def generate_trace_id(self) -> int:
                return int(super().generate_trace_id()) if self.given is None else self.given[0]

            def generate_span_id(self) -> int:
                return int(super().generate_span_id()) if self.given is None else self.given[1]

        self._trace, self._ids, self._lock = trace, Ids(), threading.Lock()
        self.nowhere: Otel = context.Context()
        # Its words about a collector that is away quote errors.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        # A process that ends does not wait for a collector.
        self.provider = TracerProvider(
            resource=Resource.create({"service.name": service}), id_generator=self._ids, shutdown_on_exit=False
        )
        sent = BatchSpanProcessor(
            OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_S),
            max_queue_size=WAITING_AT_MOST, schedule_delay_millis=DELAY_MS,
        )  # fmt: skip
        self.provider.add_span_processor(sent)
        self._tracer: Otel = self.provider.get_tracer("etude")

    def tell(self, span: Span, *, parent: Otel, links: Sequence[Otel] = ()) -> Otel:
        """Returns where what is below it stands."""
        began = self._tracer.start_span(
            span.name, context=parent, links=list(links), attributes=span.attributes, start_time=int(span.began * NANO)
        )
        if span.has_failed:
            began.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        began.end(int(span.ended * NANO))
        return self._trace.set_span_in_context(began, self.nowhere)

    def tell_job(self, job: str, span: Span) -> None:
        with self._lock:
            self._ids.given = ids_of(job)
            try:
                self.tell(span, parent=self.nowhere)
            finally:
                self._ids.given = None

    def of_job(self, job: str) -> Otel:
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(self._context_of(job)), self.nowhere)

    def link(self, job: str) -> Otel:
        return self._trace.Link(self._context_of(job))

    def _context_of(self, job: str) -> Otel:
        found, first = ids_of(job)
        sampled = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        return self._trace.SpanContext(found, first, is_remote=True, trace_flags=sampled)
