"""How the child answers: pieces of the masked file, and then how it ended. What comes without an end is not whole."""

import json
import struct
from collections.abc import Iterator
from typing import Any

PIECE, DONE, FAILED = b"P", b"D", b"F"
HEAD = struct.Struct(">cI")
# A piece of the child's is smaller, and so are a hundred faults; whoever says more is not our child any longer.
LONGEST = 4 * 1024 * 1024

Json = dict[str, Any]  # Any: JSON


class Broken(Exception):
    """What came is no frame."""


def piece(content: bytes) -> bytes:
    return HEAD.pack(PIECE, len(content)) + content


def end(kind: bytes, said: Json) -> bytes:
    content = json.dumps(said).encode()
    return HEAD.pack(kind, len(content)) + content


class Frames:
    """Puts frames together from whatever parts they come in."""

    def __init__(self) -> None:
        self._held = bytearray()

    def take(self, part: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The kind and the content of each frame that is whole now. Raises Broken."""
        self._held += part
        while len(self._held) >= HEAD.size:
            kind, length = HEAD.unpack_from(self._held)
            if kind not in (PIECE, DONE, FAILED) or length > LONGEST:
                raise Broken
            if len(self._held) < HEAD.size + length:
                return
            content = bytes(self._held[HEAD.size : HEAD.size + length])
            del self._held[: HEAD.size + length]
            yield kind, content
