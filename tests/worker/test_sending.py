"""One try of a delivery, against receivers and name servers that do all they can."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import trustme

from shared import addresses
from shared.deliveries import Claim
from shared.receivers import Receivers
from tests.receiver import Behave, Names, answering, found_by, hanging, receiver_of, receiving
from worker import sending

BODY = '{"type":"webhook.ping"}'
SECRETS = ["whsec_" + sign * 44 for sign in "AB"]
# What is waited for in vain need not be waited for long; ten seconds is the limit of the service.
LIMIT_S = 1.0
AT_HOME = found_by(Names(["127.0.0.1"]))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TOTAL_S", LIMIT_S)
    monkeypatch.setattr(sending, "CONNECT_S", LIMIT_S / 2)


def send(
    url: str, receivers: Receivers = AT_HOME, trust: ssl.SSLContext | None = None
) -> tuple[int | None, str | None]:
    claim = Claim(
        id="dlv_1", attempts=1, webhook="whk_1", tenant="ten_1", url=url, body=BODY, log=[], at=1_614_265_330.5,
        secrets=SECRETS,
    )  # fmt: skip
    tried = sending.send(claim, receivers, trust or ssl.create_default_context())
    return tried.status, tried.error


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A sign at a time, for ever: no single read of it takes long."""
    leaving = receiver_of(handler).leaving
    handler.connection.sendall(b"HTTP/1.1 ")
    while not leaving.wait(LIMIT_S / 10):
        handler.connection.sendall(b" ")


def endless(head: bytes, piece: bytes) -> Behave:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.sendall(head)
        while not receiver_of(handler).leaving.is_set():
            handler.connection.sendall(piece)

    return behave


def saying(content: bytes) -> Behave:
    return lambda handler: handler.connection.sendall(content)


def closing(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_the_request_is_what_http_and_the_standard_want() -> None:
    with receiving() as receiver:
        assert send(f"http://hook.test:{receiver.port}/a/b?c=d") == (204, None)

    (message,) = receiver.messages
    stamp = 1_614_265_330
    signed = [sending.sign(secret, id="dlv_1", timestamp=stamp, body=BODY) for secret in SECRETS]
    assert (message.path, message.body) == ("/a/b?c=d", BODY)
    assert message.headers == {
        "Host": f"hook.test:{receiver.port}", "User-Agent": "etude-webhooks/1", "Content-Type": "application/json",
        "Content-Length": str(len(BODY)), "Connection": "close", "webhook-id": "dlv_1",
        "webhook-timestamp": str(stamp), "webhook-signature": " ".join(signed),
    }  # fmt: skip


def test_the_signature_is_the_one_of_the_standards_own_example() -> None:
    said = sending.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330,
        body='{"test": 2432232314}',
    )  # fmt: skip

    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.hostile("H56")
@pytest.mark.parametrize(
    ("behave", "status", "error"),
    [
        (hanging, None, "timeout"),
        (dripping, None, "timeout"),
        (closing, None, "broken"),
        (saying(b""), None, "broken"),
        (saying(b"HTTP/1.1 999999 no status\r\n\r\n"), None, "broken"),
        (saying(b"HTTP/1.1 099 no status\r\n\r\n"), None, "broken"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "broken"),
        (saying(b"\x16\x03\x01" + bytes(100)), None, "broken"),
        (saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), None, "broken"),
        (saying(b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), 200, None),
        (saying(b"HTTP/1.0 200\r\n\r\n"), 200, None),
        (saying(b"HTTP/1.1 200 OK\r\n"), 200, None),
        (saying(b"HTTP/1.1 599 Odd\r\n\r\n"), 599, None),
        (endless(b"HTTP/1.1 100 Continue\r\n", b"A: b\r\n"), None, "broken"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), None, "broken"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)), 200, None),
        (endless(b"HTTP/1.1 200 OK\r\n", b"Header: " + b"x" * 8000 + b"\r\n"), 200, None),
        (endless(b"", b"nothing that is HTTP "), None, "broken"),
    ],
)
def test_whatever_a_receiver_does_the_try_ends(behave: Behave, status: int | None, error: str | None) -> None:
    with receiving(behave) as receiver:
        assert send(receiver.url) == (status, error)


@pytest.mark.hostile("H56")
def test_no_more_than_the_head_is_read_of_ten_megabytes() -> None:
    sent: list[int] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
        for _ in range(160):
            handler.connection.sendall(bytes(65_536))
            sent.append(65_536)

    with receiving(behave) as receiver:
        assert send(receiver.url) == (200, None)

    assert sum(sent) < 10_485_760


def test_a_port_at_which_nobody_listens_is_told() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert send(f"http://127.0.0.1:{silent.getsockname()[1]}/") == (None, "refused")


def test_a_receiver_that_takes_no_connection_is_given_up() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            # They fill the queue of those that wait to be let in.
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())

        assert send(f"http://127.0.0.1:{full.getsockname()[1]}/") == (None, "timeout")


@pytest.mark.hostile("H56")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_by_nobody(status: int) -> None:
    with receiving() as inside, receiving(answering(status, Location=inside.url)) as receiver:
        assert send(receiver.url) == (status, None)

    assert inside.messages == []


def test_a_proxy_of_the_environment_is_asked_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(receiver.url) == (204, None)

    assert proxy.messages == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://127.0.0.1/", "https://localhost/",
        "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://user@hook.test/", "https://hook.test:22/",
    ],
)  # fmt: skip
def test_without_leave_of_the_operator_nothing_goes_inside(url: str) -> None:
    guarded = Receivers(addresses.read_rules("443,8443", ""), at_once=4)

    with receiving() as receiver:
        assert send(url.format(port=receiver.port), guarded) == (None, "address")

    assert receiver.messages == []


@pytest.mark.hostile("H55")
def test_a_name_is_looked_up_once_and_its_address_is_the_one_connected_to() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.99"])

    with receiving() as receiver:
        assert send(f"http://hook.test:{receiver.port}/", found_by(names)) == (204, None)

    assert names.asked == {"hook.test": 1}


@pytest.mark.hostile("H55")
@pytest.mark.parametrize(
    "answer", [["8.8.8.8", "127.0.0.1"], ["10.0.0.1"], [], socket.gaierror("unknown"), UnicodeError("no label")]
)
def test_one_address_inside_and_a_name_that_is_unknown_are_refused_alike(answer: Any) -> None:
    assert send("https://hook.test/", found_by(Names(answer), private="")) == (None, "address")


def test_a_name_server_that_hangs_holds_up_a_try_no_longer_than_its_limit() -> None:
    answered = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        answered.wait()
        return []

    receivers = Receivers(addresses.read_rules("443", ""), at_once=1, look_up=look_up)

    # The second finds the one seat taken: nobody can call off what the system has begun.
    assert [send("https://hook.test/", receivers) for _ in range(2)] == [(None, "address")] * 2
    answered.set()


def test_an_address_that_does_not_answer_is_followed_by_the_next() -> None:
    with receiving() as receiver:
        # Nobody listens at this port of the first.
        assert send(f"http://hook.test:{receiver.port}/", found_by(Names(["127.0.0.77", "127.0.0.1"]))) == (204, None)


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and what it has certified: `hook.test`."""

    secured: ssl.SSLContext
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    authority = trustme.CA()
    secured, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("hook.test").configure_cert(secured)
    authority.configure_trust(trust)
    return Certificates(secured, trust)


def test_tls_is_spoken_with_the_name_and_not_with_the_address(certificates: Certificates) -> None:
    asked: list[str | None] = []
    certificates.secured.sni_callback = lambda _, name, __: asked.append(name)

    with receiving(secured=certificates.secured) as receiver:
        fits = send(f"https://hook.test:{receiver.port}/", trust=certificates.trust)
        other = send(f"https://other.test:{receiver.port}/", trust=certificates.trust)
        bare = send(f"https://127.0.0.1:{receiver.port}/", trust=certificates.trust)
        unknown = send(f"https://hook.test:{receiver.port}/")

    assert (fits, other, bare, unknown) == ((204, None), (None, "tls"), (None, "tls"), (None, "tls"))
    assert asked[:2] == ["hook.test", "other.test"]
    assert [message.headers["Host"] for message in receiver.messages] == [f"hook.test:{receiver.port}"]


@pytest.mark.hostile("H56")
@pytest.mark.parametrize(
    ("behave", "error"), [(hanging, "timeout"), (closing, "tls"), (dripping, "tls"), (saying(b"\x16" * 3), "timeout")]
)
def test_who_speaks_no_tls_gets_nothing(behave: Behave, error: str) -> None:
    with speechless(behave) as port:
        assert send(f"https://hook.test:{port}/") == (None, error)


@contextmanager
def speechless(behave: Behave) -> Iterator[int]:
    """A server that reads nothing and behaves at once; what it has said lies there until the end."""
    leaving, server = threading.Event(), socket.create_server(("127.0.0.1", 0))

    class Handler:
        def __init__(self, connection: socket.socket) -> None:
            self.connection, self.receiver, self.leaving = connection, self, leaving

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            behave(Handler(connection))  # type: ignore[arg-type]
            leaving.wait()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    leaving.set()
    thread.join()
    server.close()
