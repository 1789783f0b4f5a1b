"""What a search costs beside the trainings that it does, on either database, and what a second worker brings to it.

A search of one point is the same training again and again; beside it stand as many jobs of that training. What a trial
takes more of them is what drawing, comparing and waking take.
"""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import numpy as np

from bench.measurement import Measurement, MeasurementBroken, compare
from bench.service import Json, Service, running
from tests import postgres_server

TRIALS, LONG_TRIALS, ROWS = 20, 12, 400
CPU_LIMIT_S, WALL_LIMIT_S = 0.15, 0.4
SHORT: Json = {"epochs": 20, "hidden": [{"units": 32}], "baselines": False, "early_stopping": False}
# Long enough that what lies between two trials does not matter.
LONG: Json = {**SHORT, "epochs": 1500, "batch_size": 16}
SPACE: Json = {"learning_rate": {"type": "choice", "values": [0.001]}}
# One thread each: two workers on two cores must not be four threads.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def measure(rounds: int) -> list[Measurement]:
    rows = []
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with database() as settings, running(ETUDE_CHILD_JOBS="10000", **settings) as service:
            found = _overheads(service, rounds)
        for what, unit, limit, seconds in (
            ("CPU", "s", CPU_LIMIT_S, [cpu_s for cpu_s, _ in found]),
            ("wall time", "s", WALL_LIMIT_S, [wall_s for _, wall_s in found]),
        ):
            note = f"{TRIALS} trials with TPE, a notebook and halving, less {TRIALS} jobs of the same training"
            # A round in which it is nothing is one of the least that can be told.
            pairs = [(max(each, 0.001), limit) for each in seconds]
            said = f"{what} of a trial beside its training, {name}, against its limit"
            rows.append(compare(said, pairs, unit=unit, bar="≤ 1", note=note))
    rows.append(_two_workers(rounds))
    return rows


@contextmanager
def _sqlite() -> Iterator[dict[str, str]]:
    yield {}


@contextmanager
def _postgresql() -> Iterator[dict[str, str]]:
    server = postgres_server.start()
    server.create_database("bench")
    yield {"ETUDE_DATABASE_URL": server.url("bench")}
    server.stop()


def _overheads(service: Service, rounds: int) -> list[tuple[float, float]]:
    """CPU and wall seconds that a trial takes more than its training, of each round."""
    dataset = _upload(service)
    _train(service, dataset, TRIALS)
    _search(service, dataset, SHORT)
    found = []
    for _ in range(rounds):
        (train_cpu, train_wall), (search_cpu, search_wall) = (
            _spent(service, lambda: _train(service, dataset, TRIALS)),
            _spent(service, partial(_search, service, dataset, SHORT)),
        )
        found.append(((search_cpu - train_cpu) / TRIALS, (search_wall - train_wall) / TRIALS))
    return found


def _upload(service: Service) -> str:
    chance = np.random.default_rng(0)
    x = chance.normal(size=(ROWS, 16))
    genre = np.where(x[:, 0] + 0.5 * chance.normal(size=ROWS) > 0, "rock", "pop")
    content = io.StringIO()
    content.write(",".join([*(f"f{place}" for place in range(16)), "genre"]) + "\n")
    for row, label in zip(x, genre, strict=True):
        content.write(",".join([*(f"{value:.6f}" for value in row), str(label)]) + "\n")
    return service.upload("songs", content.getvalue().encode(), target="genre")


def _train(service: Service, dataset: str, count: int) -> None:
    wanted = {"action": "train", "kind": "classification", "dataset": dataset, "model": "alone", "params": SHORT}
    for job in [service.submit(wanted) for _ in range(count)]:
        service.finish(job)


def _search(service: Service, dataset: str, train: Json, *, trials: int = TRIALS) -> str:
    params = {"train": train, "space": SPACE, "trials": trials, "finalists": 0, "min_gain_per_hour": None}
    params["halving"] = {"factor": 3}
    wanted = {"action": "tune", "kind": "classification", "dataset": dataset, "model": "searched", "params": params}
    job = service.submit(wanted)
    service.finish(job)
    board = service.call("GET", f"/v1/jobs/{job}/trials?limit=200")["data"]
    if len(board) != trials or any(trial["state"] != "succeeded" for trial in board):
        raise MeasurementBroken(f"expected {trials} trials that succeeded, received {board}")
    return job


def _spent(service: Service, work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of the training worker and its child, and wall seconds, that this takes."""
    before, began = _cpu_s(service), time.perf_counter()
    work()
    return _cpu_s(service) - before, time.perf_counter() - began


def _cpu_s(service: Service) -> float:
    main = service.process("worker-1")
    return float(sum(sum(process.cpu_times()[:2]) for process in (main, *main.children())))


def _two_workers(rounds: int) -> Measurement:
    """Trials a minute of two workers, and of one; a thread and a core each."""
    pairs = []
    # Both are there at once, and one of them is asked: so a busy machine moves both.
    with _crew("1") as (alone, first), _crew("2") as (both, second):
        # The first trials of a fresh process take half as long again, and one worker is ready before the other.
        for service, dataset in ((both, second), (alone, first)):
            _rate(service, dataset)
        for _ in range(rounds):
            two, one = (_rate(service, dataset) for service, dataset in ((both, second), (alone, first)))
            pairs.append((two, one))
    note = f"{LONG_TRIALS} trials of the same training, {LONG['epochs']:,} epochs of {ROWS} rows; a core each"
    return compare("trials a minute of two workers, beside one", pairs, unit="/min", bar="≥ 1.7", note=note)


@contextmanager
def _crew(workers: str) -> Iterator[tuple[Service, str]]:
    with running(ETUDE_WORKERS=workers, **ONE_THREAD) as service:
        for number in range(int(workers)):
            main = service.process(f"worker-{number + 1}")
            for process in (main, *main.children()):
                process.cpu_affinity([number])
        yield service, _upload(service)


def _rate(service: Service, dataset: str) -> float:
    """From the beginning of the first to the end of the last: what follows, the winner's card, is one worker's."""
    search = _search(service, dataset, LONG, trials=LONG_TRIALS)
    trials = service.call("GET", f"/v1/jobs?parent={search}&limit=200")["data"]
    moments = [datetime.fromisoformat(trial[name]) for trial in trials for name in ("started_at", "ended_at")]
    return LONG_TRIALS / (max(moments) - min(moments)).total_seconds() * 60
