"""One try of a delivery over HTTP: to an address that was checked, within a time that no receiver can stretch.

HTTP/1.1 by hand, for the limits of client libraries are of a single read, and a receiver that drips outlasts them.
Nothing but the status is read: no redirect is followed, and no proxy asked.
"""

import base64
import hashlib
import hmac
import re
import socket
import ssl
import time

from shared import webhooks
from shared.addresses import Target
from shared.deliveries import Claim, Tried
from shared.errors import RequestRefused, Unavailable
from shared.receivers import Receiver, Receivers

CONNECT_S, TOTAL_S = 3.0, 10.0
HEAD_BYTES = 4096
STATUS = re.compile(rb"HTTP/1\.[01] ([2-9]\d\d)[ \r\n]")
# Said before the answer proper, such as 103 Early Hints.
BEFORE = re.compile(rb"^(HTTP/1\.[01] 1\d\d.*?\r\n\r\n)+", re.DOTALL)


class Deadline:
    """How much is left of a limit."""

    def __init__(self, limit_s: float) -> None:
        self._until = time.monotonic() + limit_s

    def left_s(self, at_most: float = TOTAL_S) -> float:
        """Raises TimeoutError when there is none."""
        left_s = min(self._until - time.monotonic(), at_most)
        if left_s <= 0:
            raise TimeoutError("The time is up.")
        return left_s


def send(claim: Claim, receivers: Receivers, trust: ssl.SSLContext) -> Tried:
    """Try once; whatever the receiver does, the answer is what it came to, within TOTAL_S."""
    began, deadline = time.monotonic(), Deadline(TOTAL_S)

    def tried(*, status: int | None = None, error: str | None = None) -> Tried:
        return Tried(time.monotonic() - began, status, error)

    try:
        receiver = receivers.find(claim.url, limit_s=CONNECT_S)
        with _connect(receiver, deadline) as plain, _secure(plain, receiver.target, trust, deadline) as connection:
            connection.settimeout(deadline.left_s())
            connection.sendall(_request(claim, receiver.target))
            return tried(status=_read_status(connection, deadline))
    except (RequestRefused, Unavailable):
        return tried(error="address")
    except TimeoutError:
        return tried(error="timeout")
    except ssl.SSLError:
        return tried(error="tls")
    except ConnectionRefusedError:
        return tried(error="refused")
    except OSError:
        return tried(error="broken")


def sign(secret: str, *, id: str, timestamp: int, body: str) -> str:
    """A signature as Standard Webhooks has it: HMAC-SHA256 of `id.timestamp.body` with the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(webhooks.PREFIX))
    digest = hmac.new(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _connect(receiver: Receiver, deadline: Deadline) -> socket.socket:
    """A connection to the first of the checked addresses that takes one, all of them within CONNECT_S."""
    limit = Deadline(deadline.left_s(CONNECT_S))
    *others, last = receiver.addresses
    for address in others:
        try:
            return socket.create_connection((address, receiver.target.port), limit.left_s() / 2)
        except OSError:
            continue
    return socket.create_connection((last, receiver.target.port), limit.left_s())


def _secure(plain: socket.socket, target: Target, trust: ssl.SSLContext, deadline: Deadline) -> socket.socket:
    """TLS with the name in the URL, which the certificate must have; over http the connection as it is."""
    plain.settimeout(deadline.left_s())
    return trust.wrap_socket(plain, server_hostname=target.host) if target.scheme == "https" else plain


def _request(claim: Claim, target: Target) -> bytes:
    body, timestamp = claim.body.encode(), int(claim.at)
    signed = [sign(secret, id=claim.id, timestamp=timestamp, body=claim.body) for secret in claim.secrets]
    lines = [
        f"POST {target.path} HTTP/1.1", f"Host: {target.name}", "User-Agent: etude-webhooks/1",
        "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close",
        f"webhook-id: {claim.id}", f"webhook-timestamp: {timestamp}", f"webhook-signature: {' '.join(signed)}",
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_status(connection: socket.socket, deadline: Deadline) -> int:
    """The status of the answer. Raises ConnectionError when what comes is none, TimeoutError when none comes."""
    head = b""
    while len(head) < HEAD_BYTES:
        connection.settimeout(deadline.left_s())
        piece = connection.recv(HEAD_BYTES - len(head))
        if not piece:
            break
        head += piece
        found = STATUS.match(BEFORE.sub(b"", head))
        if found:
            return int(found[1])
    raise ConnectionError("The receiver did not answer with a status.")
