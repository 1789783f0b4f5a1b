"""The body of an upload as it comes: never more than was announced, and at its end what was announced."""

import hashlib
from collections.abc import Iterator
from typing import IO

from shared.errors import BadRequest, InvalidRequest

BLOCK_BYTES = 1024 * 1024


class Received:
    """Blocks of a body, which end only if length and SHA-256 (in hex, or None) are right.

    So whoever writes them, or what is made of them, has no whole file otherwise.
    """

    def __init__(self, body: IO[bytes], length: int, sha256: str | None) -> None:
        self._body, self._length, self._expected = body, length, sha256
        self._digest, self._size = hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        while self._size < self._length:
            block = self._body.read(min(BLOCK_BYTES, self._length - self._size))
            if not block:
                break
            self._size += len(block)
            self._digest.update(block)
            yield block
        self._verify()

    def _verify(self) -> None:
        if self._size != self._length:
            said = f"{self._length:,} bytes were announced, {self._size:,} arrived: send the file again."
            raise BadRequest(said, code="upload_incomplete")
        found = self._digest.hexdigest()
        if self._expected not in (None, found):
            said = f"The bytes that arrived have the SHA-256 {found}, not {self._expected}: send the file again."
            raise InvalidRequest(said, code="digest_mismatch")
