"""The gateway where it cannot be reached over a socket: bodies that stop, and more work than it takes in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.errors import BadRequest, Unavailable
from web import bodies, gateway
from web.bodies import Incoming
from web.gateway import Gateway


class Protocol:
    """Sends its blocks, then nothing and no end."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for block in self._blocks:
            yield block
        await asyncio.Event().wait()


@pytest.mark.hostile("H10")
def test_a_body_that_stops_coming_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENT_AT_MOST_S", 0.05)

    async def read_all() -> None:
        incoming = Incoming(Protocol(b"abc", b"d"), asyncio.get_running_loop())
        assert await asyncio.to_thread(incoming.read, 2) == b"ab"
        assert await asyncio.to_thread(incoming.read, 2) == b"cd"
        await asyncio.to_thread(incoming.read, 1)

    with pytest.raises(BadRequest, match="No byte came"):
        asyncio.run(read_all())


@pytest.mark.hostile("H10")
def test_a_body_that_comes_byte_by_byte_is_refused_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENT_AT_MOST_S", 0.05)

    class Dripping:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.01)
                yield b"x"

    async def read_all() -> None:
        incoming = Incoming(Dripping(), asyncio.get_running_loop())
        await asyncio.to_thread(incoming.read)

    with pytest.raises(BadRequest, match="are the least") as refused:
        asyncio.run(read_all())
    assert refused.value.code == "body_stalled"


def test_a_reader_that_takes_its_time_is_not_held_against_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENT_AT_MOST_S", 0.05)

    class Ready:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(4):
                yield b"x"

    async def read_slowly() -> bytes:
        read = b""
        async for block in bodies.steadily(Ready()):
            await asyncio.sleep(0.03)
            read += block
        return read

    assert asyncio.run(read_slowly()) == b"xxxx"


def test_more_requests_than_can_wait_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "IN_HAND_AT_MOST", 0)
    made: Any = object.__new__(Gateway)
    made._in_hand = 0

    with pytest.raises(Unavailable):
        asyncio.run(made._in_thread({}))


@pytest.mark.parametrize(
    ("environ", "is_large"),
    [
        ({"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"}, False),
        ({"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "65536"}, False),
        ({"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "65537"}, True),
        ({"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_TRANSFER_ENCODING": "chunked"}, True),
        # HTTP/2 may send a body that no header announces.
        ({"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/2"}, True),
        ({"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/2"}, False),
        ({"REQUEST_METHOD": "PUT", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "3"}, False),
        ({"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_TRANSFER_ENCODING": "chunked"}, False),
    ],
)
def test_a_thread_reads_what_is_large_or_of_unknown_length(environ: dict[str, str], is_large: bool) -> None:
    assert bodies.is_large(environ) is is_large
