"""The wire format of sealed files: streaming AES-256-GCM as Tink's AES256_GCM_HKDF_1MB has it.

A header of 40 bytes (its length, a salt of 32, a nonce's prefix of 7), then segments of 1 MiB that each end with a tag;
the first is as much shorter as the header is long. HKDF-SHA256 of key, salt and associated data makes the key of this
very file; a segment's nonce is the prefix, its number and whether it is the last. So no segment can be changed, moved,
left out or added without being noticed. Source: Tink's "AES-GCM-HKDF streaming AEAD"; Tink itself is the oracle.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT_BYTES = 1024 * 1024
KEY_BYTES, SALT_BYTES, PREFIX_BYTES, TAG_BYTES = 32, 32, 7, 16
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES
# Plaintext in a segment, and in the first one.
ROOM_BYTES = SEGMENT_BYTES - TAG_BYTES
FIRST_ROOM_BYTES = ROOM_BYTES - HEADER_BYTES


# What a stream may come in, so that nobody copies what lies in another's memory.
Octets = bytes | bytearray | memoryview


class Tampered(Exception):
    """What was read is not what was sealed under this key for this place."""


@dataclass(frozen=True)
class Span:
    """The sealed bytes that hold a range of the plaintext, and where in what they open to it begins."""

    first: int
    after: int
    start: int
    end: int
    skipped: int


def seal(key: bytes, bound: bytes, blocks: Iterable[Octets]) -> Iterator[bytes]:
    """The sealed form of a stream, segment by segment; `bound` is the associated data."""
    salt, prefix = os.urandom(SALT_BYTES), os.urandom(PREFIX_BYTES)
    cipher = _cipher(key, bound, salt)
    number, waiting, room = 0, bytearray(), FIRST_ROOM_BYTES
    yield bytes([HEADER_BYTES]) + salt + prefix
    for block in blocks:
        rest = memoryview(block)
        while rest:
            # Sealed only when more comes: whether a segment is the last is part of its nonce.
            if len(waiting) == room:
                yield cipher.encrypt(_nonce(prefix, number, is_last=False), waiting, None)
                number, waiting, room = number + 1, bytearray(), ROOM_BYTES
            taken = room - len(waiting)
            waiting += rest[:taken]
            rest = rest[taken:]
    yield cipher.encrypt(_nonce(prefix, number, is_last=True), waiting, None)


class Opener:
    """Opens the segments of one sealed file, of which the size and the header are known."""

    def __init__(self, key: bytes, bound: bytes, *, header: bytes, size: int) -> None:
        self.plain_bytes = plain_size(size)
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise Tampered
        self._size, self.count = size, (size - 1) // SEGMENT_BYTES + 1
        self._prefix = header[1 + SALT_BYTES :]
        self._cipher = _cipher(key, bound, header[1 : 1 + SALT_BYTES])

    def span(self, start: int, length: int) -> Span:
        """Where to read for a range of the plaintext that has at least a byte in it."""
        first, after = _segment_of(start), _segment_of(start + length - 1) + 1
        end = min(after * SEGMENT_BYTES, self._size)
        return Span(first, after, max(first * SEGMENT_BYTES, HEADER_BYTES), end, start - _plain_start(first))

    def open(self, blocks: Iterable[Octets], *, first: int, after: int) -> Iterator[bytes]:
        """The plaintext of the segments from `first` to before `after`, whose bytes come in blocks of any size.

        Raises Tampered before it yields anything of a segment that is not as it was sealed, and when some are missing.
        """
        number, waiting = first, bytearray()
        for block in blocks:
            rest = memoryview(block)
            while rest:
                wanted = self._sealed_bytes(number)
                if not waiting and len(rest) >= wanted:
                    # The common case: no copy.
                    yield self._open(rest[:wanted], number)
                    rest, number = rest[wanted:], number + 1
                    continue
                taken = wanted - len(waiting)
                waiting += rest[:taken]
                rest = rest[taken:]
                if len(waiting) == wanted:
                    yield self._open(waiting, number)
                    waiting, number = bytearray(), number + 1
        if waiting or number != after:
            raise Tampered

    def _sealed_bytes(self, number: int) -> int:
        if number >= self.count:
            raise Tampered
        start = HEADER_BYTES if number == 0 else number * SEGMENT_BYTES
        return min((number + 1) * SEGMENT_BYTES, self._size) - start

    def _open(self, sealed: Octets, number: int) -> bytes:
        try:
            return self._cipher.decrypt(_nonce(self._prefix, number, is_last=number == self.count - 1), sealed, None)
        except InvalidTag as cause:
            raise Tampered from cause


def plain_size(size: int) -> int:
    """The bytes of plaintext in a sealed file of this size. Raises Tampered for a size that none can have."""
    segments = (size + SEGMENT_BYTES - 1) // SEGMENT_BYTES
    in_last = size - (segments - 1) * SEGMENT_BYTES
    if size < HEADER_BYTES + TAG_BYTES or (segments > 1 and in_last <= TAG_BYTES):
        raise Tampered
    return size - HEADER_BYTES - segments * TAG_BYTES


def _segment_of(place: int) -> int:
    return 0 if place < FIRST_ROOM_BYTES else 1 + (place - FIRST_ROOM_BYTES) // ROOM_BYTES


def _plain_start(segment: int) -> int:
    return 0 if segment == 0 else FIRST_ROOM_BYTES + (segment - 1) * ROOM_BYTES


def _cipher(key: bytes, bound: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, bound).derive(key))


def _nonce(prefix: bytes, number: int, *, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])
