"""The web process as it is in production: granian, on a free port, with a key."""

import http.client
import json
import os
from dataclasses import dataclass
from typing import Any

import psutil

from shared.settings import Settings
from shared.up import environment_of
from tests import nursery
from tests.nursery import Process
from tests.ports import free_port
from tests.waiting import until

LIMIT_S = 30.0


@dataclass
class Server:
    """A running web process."""

    port: int
    key: str
    process: Process

    def is_up(self) -> bool:
        try:
            return bool(self.call("GET", "/healthz")[0] == 200)
        except OSError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=70)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
        try:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, json.loads(said) if said else None, dict(answer.getheaders())
        finally:
            connection.close()

    def worker(self) -> psutil.Process:
        """The process that runs the application; the other one watches it."""
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT_S)


def start(settings: Settings, key: str, *, is_forked: bool = True) -> Server:
    """Start it and return once it answers."""
    port = free_port()
    environment = {**os.environ, **environment_of(settings), "ETUDE_PORT": str(port)}
    begin = nursery.start if is_forked else nursery.execute
    server = Server(port, key, begin("web.serve", env=environment))
    assert until(server.is_up, limit_s=LIMIT_S), "the web process did not answer"
    return server
