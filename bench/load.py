"""The load on a web server: a process of its own that keeps some connections busy and counts whole answers.

One loop over raw sockets, since an HTTP client in Python would be slower than the servers that it measures.
"""

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from statistics import quantiles

from bench.measurement import MeasurementBroken

# Replaced in each request by a number of the same length that no other request has.
NUMBER = b"@@@@@@@@@@"
LIMIT_S = 10.0


@dataclass(frozen=True)
class Load:
    """What came back; `busy` is the share of a core that the load itself took."""

    per_s: float
    p50_ms: float
    p99_ms: float
    busy: float


def drive(port: int, requests: list[bytes], *, status: int, seconds: float, connections: int = 8) -> Load:
    """Send the requests in turn for some seconds. Raises MeasurementBroken at any answer of another status."""
    wanted = {"port": port, "status": status, "seconds": seconds, "connections": connections}
    told = json.dumps({**wanted, "requests": [request.decode() for request in requests]})
    ran = subprocess.run([sys.executable, "-m", "bench.load"], input=told, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise MeasurementBroken(ran.stderr)
    return Load(**json.loads(ran.stdout))


def main() -> None:
    told = json.load(sys.stdin)
    requests = [request.encode() for request in told["requests"]]
    loop = _Loop(told["port"], requests, expected=f"HTTP/1.1 {told['status']} ".encode())
    print(json.dumps(asdict(loop.run(told["connections"], told["seconds"]))))


class _Loop:
    """Every connection has one request under way."""

    def __init__(self, port: int, requests: list[bytes], *, expected: bytes) -> None:
        self._port, self._requests, self._expected = port, requests, expected
        self._numbers = [NUMBER in request for request in requests]
        self._first = time.time_ns() % 10**10
        self._sent = 0
        self._sent_at: dict[int, float] = {}
        self._answers: dict[int, bytes] = {}
        self._taken_s: list[float] = []

    def run(self, connections: int, seconds: float) -> Load:
        poll, sockets = select.epoll(), {}
        for _ in range(connections):
            opened = socket.create_connection(("127.0.0.1", self._port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[opened.fileno()] = opened
            poll.register(opened, select.EPOLLIN)
            self._send(opened)
        began, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            ready = poll.poll(LIMIT_S)
            if not ready:
                raise MeasurementBroken(f"no answer within {LIMIT_S:g} s")
            for number, _ in ready:
                self._take(sockets[number])
        took_s, busy_s = time.perf_counter() - began, time.process_time() - cpu
        for opened in sockets.values():
            opened.close()
        cuts = quantiles(self._taken_s, n=100)
        return Load(len(self._taken_s) / took_s, cuts[49] * 1e3, cuts[98] * 1e3, busy_s / took_s)

    def _send(self, to: socket.socket) -> None:
        place = self._sent % len(self._requests)
        request = self._requests[place]
        if self._numbers[place]:
            request = request.replace(NUMBER, b"%010d" % ((self._first + self._sent) % 10**10))
        self._sent += 1
        self._sent_at[to.fileno()] = time.perf_counter()
        to.sendall(request)

    def _take(self, of: socket.socket) -> None:
        answer = self._answers.pop(of.fileno(), b"") + of.recv(262_144)
        if not is_whole(answer):
            self._answers[of.fileno()] = answer
            return
        if not answer.startswith(self._expected):
            raise MeasurementBroken(f"expected {self._expected!r}, received {answer[:600]!r}")
        self._taken_s.append(time.perf_counter() - self._sent_at[of.fileno()])
        self._send(of)


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer has come. Raises MeasurementBroken for one that does not say its length."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        if not answer:
            raise MeasurementBroken("the server closed the connection")
        return False
    _, found, rest = head.lower().partition(b"\r\ncontent-length: ")
    if not found:
        raise MeasurementBroken(f"no Content-Length: {head!r}")
    return len(body) >= int(rest.partition(b"\r\n")[0])


if __name__ == "__main__":
    main()
