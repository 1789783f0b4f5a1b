"""The door under load: a status poll and a submission on the default server, against gunicorn's empty Flask route.

One web process each, two threads for gunicorn (its best on two cores), eight connections kept alive, loopback.
"""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

from bench import textbook
from bench.load import NUMBER, Load, drive
from bench.measurement import Measurement, compare
from bench.service import Service, running, wait_until
from shared.processes import die_with_parent
from shared.up import free_port

SECONDS = 2.0
THREADS = 2
POLLED = 100
EMPTY = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def measure(rounds: int) -> list[Measurement]:
    polls, submits, keyed = [], [], []
    with running(ETUDE_WORKERS="0") as service, gunicorn() as port:
        dataset = service.upload("textbook", textbook.table(), target="genre")
        jobs = [service.submit(textbook.job(dataset)) for _ in range(POLLED)]
        poll = [_get(service, job) for job in jobs]
        submit = [_post(service, dataset)]
        with_key = [_post(service, dataset, f"Idempotency-Key: {NUMBER.decode()}\r\n")]
        for _ in range(rounds):
            polls.append((drive(service.port, poll, status=200, seconds=SECONDS), _empty(port)))
            submits.append((drive(service.port, submit, status=202, seconds=SECONDS), _empty(port)))
            keyed.append((drive(service.port, with_key, status=202, seconds=SECONDS), _empty(port)))
    return [
        _row("status poll with key check", polls, bar="≥ 1.2"),
        _row("submit (key, row, commit, ring), no Idempotency-Key", submits, bar="≥ 0.6"),
        _row("submit, each with an Idempotency-Key", keyed, bar="≥ 0.6"),
    ]


def _row(name: str, rounds: list[tuple[Load, Load]], *, bar: str) -> Measurement:
    ours, peer = rounds[-1]
    said = f"p50/p99 {ours.p50_ms:.1f}/{ours.p99_ms:.1f} ms, theirs {peer.p50_ms:.1f}/{peer.p99_ms:.1f} ms; "
    busy = f"the load took {ours.busy:.2f} and {peer.busy:.2f} of a core"
    pairs = [(ours.per_s, peer.per_s) for ours, peer in rounds]
    return compare(f"{name}, against gunicorn's empty route", pairs, unit="requests/s", bar=bar, note=said + busy)


@contextlib.contextmanager
def gunicorn() -> Iterator[int]:
    """The port of gunicorn with threads, which answers an empty route."""
    port = free_port("127.0.0.1")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--no-control-socket", "--workers", "1", "--worker-class", "gthread",
         "--threads", str(THREADS), "--bind", f"127.0.0.1:{port}", "--log-level", "error",
         "bench.peers.empty_route:app"],
        preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        wait_until(lambda: _answers(port), limit_s=30)
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _empty(port: int) -> Load:
    return drive(port, [EMPTY], status=200, seconds=SECONDS)


def _get(service: Service, job_id: str) -> bytes:
    head = f"GET /v1/jobs/{job_id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {service.key}\r\n\r\n"
    return head.encode()


def _post(service: Service, dataset: str, more: str = "") -> bytes:
    body = json.dumps(textbook.job(dataset))
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {service.key}\r\n{more}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
