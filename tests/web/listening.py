"""A client that listens to a stream of events over a socket of its own."""

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.waiting import until
from tests.web.serving import LIMIT_S, Server


@dataclass
class Told:
    """One event, as it stood in the stream."""

    id: str | None
    type: str
    data: Any


@dataclass
class Listener:
    """Reads in a thread of its own until the server ends the stream."""

    server: Server
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Told] = field(default_factory=list)
    text: bytes = b""
    has_ended: bool = False

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.server.port), timeout=LIMIT_S)
        given = {"Authorization": f"Bearer {self.server.key}", "Accept": "text/event-stream", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        # HTTP/1.0: the body comes as it is, and ends with the connection.
        self.socket.sendall(f"GET {self.path} HTTP/1.0\r\nHost: x\r\n{lines}\r\n".encode())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def status(self) -> int:
        assert until(lambda: b"\r\n" in self.text or self.has_ended)
        return int(self.text.split(b" ", 2)[1])

    @property
    def body(self) -> bytes:
        return self.text.partition(b"\r\n\r\n")[2]

    def wait_for(self, count: int, *, limit_s: float = 15.0) -> list[Told]:
        assert until(lambda: len(self.told()) >= count, limit_s=limit_s), self.text
        return self.told()

    def wait_end(self, *, limit_s: float = 15.0) -> list[Told]:
        assert until(lambda: self.has_ended, limit_s=limit_s), self.text
        return self.told()

    def told(self) -> list[Told]:
        return [told for block in self.body.split(b"\n\n")[:-1] if (told := _parse(block.decode())) is not None]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT_S)

    def _read(self) -> None:
        self.socket.settimeout(None)
        with contextlib.suppress(OSError), self.socket:
            while block := self.socket.recv(65_536):
                self.text += block
        self.has_ended = True


def _parse(block: str) -> Told | None:
    fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
    return (
        Told(fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])) if "data" in fields else None
    )
