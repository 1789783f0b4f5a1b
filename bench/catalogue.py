"""A catalogue of recordings in a running service: brought there, analysed and erased, and what that took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import soundfile

from bench import consumption
from bench.measurement import MeasurementBroken
from bench.service import Json, Service

# The tags of every track as JSON lines, and nothing else.
JOB: Json = {
    "action": "score", "kind": "analysis", "model": "etude.tagger-mtt",
    "params": {"include": ["tags"], "formats": ["jsonl"]},
}  # fmt: skip
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Cost:
    """What all processes of the service took together."""

    cpu_s: float
    wall_s: float


def choose(paths: Sequence[Path], *, seconds: float) -> list[Path]:
    """The first recordings that last at least so long together. Raises ValueError where they do not."""
    chosen, lasting = [], 0.0
    for path in paths:
        if lasting >= seconds:
            break
        chosen.append(path)
        lasting += seconds_of([path])
    if lasting < seconds:
        raise ValueError(f"expected recordings of {seconds:g} s, received {lasting:g} s")
    return chosen


def seconds_of(paths: Sequence[Path]) -> float:
    """How long recordings last together, by their headers."""
    return float(sum(soundfile.info(path).duration for path in paths))


def root(service: Service) -> psutil.Process:
    """The process that all others of the service come from."""
    return service.process("web").parent()


def bring(service: Service, files: dict[str, bytes]) -> tuple[str, Cost]:
    """A ready dataset of these files, and what its ingest took."""
    dataset = service.call("POST", "/v1/datasets", {"name": "catalogue", "format": "audio", "columns": {}})
    for name, content in files.items():
        service.call("PUT", f"/v1/datasets/{dataset['id']}/files/{name}", content, **OCTETS)
    cost = _finish(service, "POST", f"/v1/datasets/{dataset['id']}/commit")
    return str(dataset["id"]), cost


def analyse(service: Service, dataset: str, **params: Any) -> Cost:
    """Score it by the tagger, and say what that took from the request to the end of the job."""
    return _finish(service, "POST", "/v1/jobs", {**JOB, "dataset": dataset, "params": {**JOB["params"], **params}})


def erase(service: Service, dataset: str) -> None:
    """Forget it, and all that was computed of its recordings."""
    service.call("DELETE", f"/v1/datasets/{dataset}")


def _finish(service: Service, method: str, path: str, body: Any = None) -> Cost:  # Any: JSON
    everything = root(service)
    lived, before, began = consumption.family(everything), consumption.cpu_s(everything), time.perf_counter()
    service.finish(service.call(method, path, body)["id"])
    cost = Cost(consumption.cpu_s(everything) - before, time.perf_counter() - began)
    if not all(each.is_running() for each in lived):
        raise MeasurementBroken("a process of the service ended meanwhile, and what it had used is not known")
    return cost
