"""250 clients that wait for jobs on one web process: what others feel of it, and the memory of that process."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import textbook
from bench.load import drive, is_whole
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.service import Service, running

CLIENTS = 250
WAIT_S = 8
SECONDS = 4.0
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"
LIMIT_MB = 120
MB = 1e6


def measure(rounds: int) -> list[Measurement]:
    slowed, sizes = [], []
    with running(ETUDE_WORKERS="0") as service:
        dataset = service.upload("textbook", textbook.table(), target="genre")
        jobs = [service.submit(textbook.job(dataset)) for _ in range(CLIENTS)]
        for _ in range(rounds):
            alone = _health_p99_ms(service)
            with waiting(service, jobs):
                slowed.append((_health_p99_ms(service), alone))
                sizes.append((_web_mb(service), float(LIMIT_MB)))
    note = f"each waits {WAIT_S} s for a job of its own that stays queued; /healthz on one connection meanwhile"
    return [
        compare(f"health's p99 with {CLIENTS} clients waiting, against none", slowed, unit="ms", bar="≤ 2", note=note),
        compare("web process, all clients waiting, against its limit", sizes, unit="MB", bar="≤ 1", note="RSS"),
    ]


def _health_p99_ms(service: Service) -> float:
    return drive(service.port, [HEALTH], status=200, seconds=SECONDS, connections=1).p99_ms


def _web_mb(service: Service) -> float:
    """The greater of the server's processes: the one that holds the application."""
    web = service.process("web")
    return max(float(each.memory_info().rss) for each in [web, *web.children()]) / MB


@contextmanager
def waiting(service: Service, jobs: list[str]) -> Iterator[None]:
    """One client for each job, all of them waiting. Raises MeasurementBroken if one was answered too soon, or not."""
    began = time.monotonic()
    clients = [socket.create_connection(("127.0.0.1", service.port), timeout=4 * WAIT_S) for _ in jobs]
    for client, job in zip(clients, jobs, strict=True):
        head = f"GET /v1/jobs/{job} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {service.key}\r\n"
        client.sendall(f"{head}Prefer: wait={WAIT_S}\r\n\r\n".encode())
    # Until the last has been taken in.
    time.sleep(1)
    yield
    if time.monotonic() - began > WAIT_S:
        raise MeasurementBroken(f"the clients had gone after {WAIT_S} s, before the measurement was over")
    for client in clients:
        _receive(client)


def _receive(client: socket.socket) -> None:
    with client:
        answer = b""
        while not answer or not is_whole(answer):
            answer += client.recv(65_536)
    if b"\r\npreference-applied: wait=" not in answer.lower():
        raise MeasurementBroken(f"a client did not wait: {answer[:300]!r}")
