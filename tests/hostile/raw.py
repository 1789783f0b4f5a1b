"""Requests written byte by byte, for what no client library would send."""

import json
import re
import socket
from typing import Any

from tests.web.serving import LIMIT_S

END = b"\r\n"


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)


def head(method: str, path: str, key: str | None = None, *lines: str, version: str = "HTTP/1.1") -> bytes:
    """A request up to its body; a line without a name takes the place of Host."""
    hosts = [] if any(line.lower().startswith("host:") for line in lines) else ["Host: etude.test"]
    keys = [] if key is None else [f"Authorization: Bearer {key}"]
    return "\r\n".join([f"{method} {path} {version}", *hosts, *keys, *lines, "", ""]).encode("utf-8", "surrogateescape")


def ask(port: int, content: bytes, *, is_whole: bool = True) -> bytes:
    """All that comes back until the server closes, or until one whole answer is there."""
    with connect(port) as connection:
        connection.sendall(content)
        return read(connection, is_whole=is_whole)


def read(connection: socket.socket, *, is_whole: bool = True) -> bytes:
    answer = b""
    while not (is_whole and _is_whole(answer)):
        try:
            block = connection.recv(65_536)
        except ConnectionResetError:
            break
        if not block:
            break
        answer += block
    return answer


def _is_whole(answer: bytes) -> bool:
    top, found, body = answer.partition(END + END)
    length = re.search(rb"(?i)^content-length: (\d+)", top, re.MULTILINE)
    return bool(found) and length is not None and len(body) >= int(length[1])


def parse(answer: bytes) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of one answer."""
    top, _, body = answer.partition(END + END)
    first, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    content = body[: int(headers.get("content-length", len(body)))]
    return int(first.split()[1]), json.loads(content) if content else None, headers
