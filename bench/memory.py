"""The memory of one training worker over fifty jobs: the main process and its child, what they share counted once."""

from bench import textbook
from bench.measurement import Measurement, compare
from bench.service import Json, Service, running

EARLY, LATE = 5, 50
MiB = 1024**2


def measure(rounds: int) -> list[Measurement]:
    # Twice the default: a child that is renewed by count after the fiftieth job would hide what it had grown to.
    with running(ETUDE_CHILD_JOBS=str(2 * LATE)) as service:
        wanted = textbook.job(service.upload("textbook", textbook.table(), target="genre"))
        alike = [_grow(service, [wanted] * LATE) for _ in range(rounds)]
        other = [_grow(service, [_widened(wanted, more) for more in range(LATE)]) for _ in range(rounds)]
    return [
        _row("50 jobs on one worker, the same network, against 5", alike),
        _row("50 jobs on one worker, every network another, against 5", other),
    ]


def _row(name: str, rounds: list[list[float]]) -> Measurement:
    # The most on both sides: a child may make place for a fresh one after any job, the fifth too, and what is held
    # right then says nothing.
    pairs = [(max(sizes[EARLY:]), max(sizes[:EARLY])) for sizes in rounds]
    note = f"the most (PSS) after any of jobs {EARLY + 1} to {LATE}, against any of the first {EARLY}"
    return compare(name, pairs, unit="MiB", bar="≤ 1.05", note=note)


def _widened(wanted: Json, more: int) -> Json:
    first, *others = wanted["params"]["hidden"]
    hidden = [{**first, "units": first["units"] + 1 + more}, *others]
    return {**wanted, "params": {**wanted["params"], "hidden": hidden}}


def _grow(service: Service, jobs: list[Json]) -> list[float]:
    """MiB of worker and child after each of the jobs, from a fresh child on."""
    service.renew_child()
    sizes = []
    for wanted in jobs:
        service.finish(service.submit(wanted))
        sizes.append(_resident_mib(service))
    return sizes


def _resident_mib(service: Service) -> float:
    worker = service.process("worker-1")
    return sum(float(each.memory_full_info().pss) for each in [worker, *worker.children()]) / MiB
