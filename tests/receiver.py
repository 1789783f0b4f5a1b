"""A receiver of webhooks on the loopback: a real server, which behaves as a test wants it to."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from shared import addresses
from shared.receivers import Receivers

LOOPBACK = "127.0.0.0/8"


@dataclass(frozen=True)
class Message:
    """What has arrived."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The content, its signature verified by the library of others. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


Behave = Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """Keeps what arrives, and answers as `behave` says; `leaving` is set when it is over."""

    def __init__(self, behave: Behave, *, secured: ssl.SSLContext | None = None) -> None:
        self.messages: list[Message] = []
        self.behave, self.leaving = behave, threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.secured = secured
        self.port = self._server.server_address[1]
        self.scheme = "http" if secured is None else "https"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]

    def close(self) -> None:
        self.leaving.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        messages, this = self.messages, self

        class Handler(BaseHTTPRequestHandler):
            receiver = this

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                messages.append(Message(self.path, dict(self.headers.items()), body))
                this.behave(self)

            do_GET = do_POST  # noqa: N815 — as the library has it

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    secured: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the thread of the connection: a client that breaks off the handshake holds up nobody.
        if self.secured is None:
            return super().finish_request(request, client_address)
        with self.secured.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what some tests are about."""


def hanging(handler: BaseHTTPRequestHandler) -> None:
    """A receiver that takes everything and says nothing."""
    receiver_of(handler).leaving.wait()


def receiver_of(handler: BaseHTTPRequestHandler) -> Receiver:
    return handler.receiver  # type: ignore[attr-defined,no-any-return]


class Names:
    """A name server of our own: what names come to, one answer after the other, and how often each was asked for."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers, self.asked = list(answers), Counter[str]()

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked[host] += 1
        said = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in said]


def found_by(names: Names, *, private: str = LOOPBACK) -> Receivers:
    return Receivers(addresses.read_rules("443,8443", private), at_once=4, look_up=names)


@contextmanager
def receiving(behave: Behave | None = None, *, secured: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(behave or answering(204), secured=secured)
    try:
        yield receiver
    finally:
        receiver.close()


def answering(status: int, **headers: str) -> Behave:
    """A receiver that answers at once."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave
