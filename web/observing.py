"""What /metrics tells: of all processes what SQL says, of this one what it has answered and what it takes.

No label has anything of a tenant: actions, states, queues, reasons and routes as they are declared, and nothing else.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from shared import census, tallies
from shared.census import Census
from shared.code import CODE_VERSION
from shared.database import Database
from shared.errors import Unavailable
from shared.settings import Settings
from shared.tallies import Counted
from web import traffic

# Several that scrape ask no more of the database than one.
KEPT_S = 5.0
EDGES = [floatToGoString(edge) for edge in tallies.EDGES_S]  # type: ignore[no-untyped-call]  # it ships none for this
COUNTERS = {
    tallies.SUBMITTED: ("etude_jobs_submitted", "Jobs that were accepted.", ("action",)),
    tallies.RETRIED: ("etude_jobs_retried", "Failed jobs that a client had run again.", ("action",)),
    tallies.REQUEUED: ("etude_jobs_requeued", "Jobs that went back into the queue.", ("action", "reason")),
    tallies.ENDING: ("etude_jobs_ended", "Jobs that ended.", ("action", "state")),
    tallies.BEGUN: ("etude_attempts_begun", "Attempts that began.", ("action",)),
    tallies.ATTEMPT: ("etude_attempts_ended", "Attempts that ended.", ("action", "outcome")),
    tallies.DEAF: ("etude_workers_deaf", "Workers that ended themselves, for they heard nothing.", ("queue",)),
    tallies.NO_RING: ("etude_rings_dropped", "Messages in Redis that were no rings.", ("queue",)),
}  # fmt: skip

ProcessCollector(registry=traffic.registry)
Info("etude_build", "The code that answers.", registry=traffic.registry).info({"version": CODE_VERSION})


class Observer:
    """Collects as prometheus-client wants it; keeps what SQL said for KEPT_S."""

    def __init__(self, database: Database, chosen: Settings) -> None:
        self._database, self._settings = database, chosen
        self._lock = threading.Lock()
        self._kept: Census | None = None
        self._asked_at = -KEPT_S

    def collect(self) -> Iterator[Metric]:
        found = self._take()
        yield from traffic.registry.collect()
        yield _gauge("etude_database_up", "Whether the database answers.", (), {(): int(found is not None)})
        if found is not None:
            yield from _standing(found)
            yield from _counted(found)

    def _take(self) -> Census | None:
        with self._lock:
            if time.monotonic() - self._asked_at < KEPT_S:
                return self._kept
            try:
                with self._database.reading() as sql:
                    self._kept = census.take(sql, self._settings)
            except Unavailable:
                # Then there are no series of it, rather than old ones.
                self._kept = None
            self._asked_at = time.monotonic()
            return self._kept


def _standing(found: Census) -> Iterator[Metric]:
    waiting = {(each.name,): each.waiting for each in found.queues}
    yield _gauge("etude_queue_jobs", "Jobs that wait, counted up to 100,000.", ("queue",), waiting)
    oldest = {(each.name,): each.oldest_s for each in found.queues}
    yield _gauge("etude_queue_oldest_seconds", "Since when the oldest could have begun.", ("queue",), oldest)
    running = {(action,): count for action, count in found.running.items()}
    yield _gauge("etude_jobs_running", "Jobs that run.", ("action",), running)
    yield _gauge("etude_jobs_silent", "Running jobs that a scheduler should have taken back.", (), {(): found.silent})
    yield _gauge("etude_workers", "Workers, each alive, draining or silent.", ("queue", "state"), found.workers)
    memory = {(name,): taken for name, taken in found.memory.items()}
    yield _gauge("etude_workers_memory_bytes", "Memory of the workers that beat.", ("queue",), memory)
    said = "Workers that beat, by the tier that holds their decoders."
    yield _gauge("etude_workers_contained", said, ("queue", "tier"), found.contained)
    devices = [((each.worker, str(each.index)), each) for each in found.devices]
    used, total = ({named: getattr(each, f"{what}_bytes") for named, each in devices} for what in ("used", "total"))
    yield _gauge("etude_device_memory_used_bytes", "Memory of a card that is taken.", ("worker", "device"), used)
    yield _gauge("etude_device_memory_total_bytes", "Memory that a card has.", ("worker", "device"), total)
    told = {(state,): count for state, count in found.deliveries.items()}
    yield _gauge("etude_deliveries", "Deliveries to webhooks: waiting, or failed of late.", ("state",), told)


def _counted(found: Census) -> Iterator[Metric]:
    for series, (name, said, labels) in COUNTERS.items():
        family = CounterMetricFamily(name, said, labels=labels)
        for tally, times, _ in found.counted:
            if tally.series == series:
                family.add_metric([value for value in (tally.action, tally.label) if value], times)
        yield family
    yield _durations([each for each in found.counted if each.tally.series == tallies.TOOK])


def _durations(rows: Iterable[Counted]) -> Metric:
    said = "Seconds of ended jobs, from their first start."
    family = HistogramMetricFamily("etude_job_seconds", said, labels=("action", "state"))
    groups: dict[tuple[str, str], list[Counted]] = defaultdict(list)
    for row in rows:
        groups[row.tally.action, row.tally.label].append(row)
    for named, found in groups.items():
        edges = [
            (name, sum(row.times for row in found if row.tally.bucket <= place)) for place, name in enumerate(EDGES)
        ]
        family.add_metric(named, edges, sum_value=sum(row.seconds for row in found))
    return family


# Any: as many values in a tuple as there are labels.
def _gauge(name: str, said: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=labels)
    for named, value in values.items():
        family.add_metric(named, value)
    return family
