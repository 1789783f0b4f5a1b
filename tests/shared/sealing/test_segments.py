"""The wire format: Tink reads what we write and writes what we read; whatever was changed is refused."""

import os
from collections.abc import Callable, Iterator

import pytest

from shared.sealing.segments import (
    FIRST_ROOM_BYTES,
    HEADER_BYTES,
    ROOM_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Opener,
    Tampered,
    plain_size,
    seal,
)
from tests.shared.sealing import tink_oracle

KEY, BOUND = bytes(range(32)), b"etude-1\0file\0ten_1\0t/ten_1/a\0ok_1"
THREE = FIRST_ROOM_BYTES + 2 * ROOM_BYTES + 5
SIZES = [
    0, 1, FIRST_ROOM_BYTES - 1, FIRST_ROOM_BYTES, FIRST_ROOM_BYTES + 1, SEGMENT_BYTES - 1, SEGMENT_BYTES,
    SEGMENT_BYTES + 1, FIRST_ROOM_BYTES + ROOM_BYTES, 3 * SEGMENT_BYTES + 5, THREE,
]  # fmt: skip


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def sealed(plain: bytes, *, block: int = 70_001) -> bytes:
    return b"".join(seal(KEY, BOUND, cut(plain, block)))


def opened(content: bytes, *, key: bytes = KEY, bound: bytes = BOUND, block: int = 50_001) -> bytes:
    opener = Opener(key, bound, header=content[:HEADER_BYTES], size=len(content))
    return b"".join(opener.open(cut(content[HEADER_BYTES:], block), first=0, after=opener.count))


@pytest.mark.parametrize("size", SIZES)
def test_tink_reads_what_we_write_and_we_read_what_tink_writes(size: int) -> None:
    plain = os.urandom(size)

    ours, theirs = sealed(plain), tink_oracle.seal(KEY, BOUND, plain)

    assert tink_oracle.open_sealed(KEY, BOUND, ours) == plain
    assert opened(theirs) == plain
    assert len(ours) == len(theirs)
    assert plain_size(len(ours)) == size


@pytest.mark.parametrize("block", [1_000, SEGMENT_BYTES, 8 * SEGMENT_BYTES])
def test_blocks_may_be_of_any_size(block: int) -> None:
    plain = os.urandom(THREE)

    assert opened(sealed(plain, block=block), block=block) == plain


EDGES = [0, 1, FIRST_ROOM_BYTES - 1, FIRST_ROOM_BYTES, FIRST_ROOM_BYTES + ROOM_BYTES, THREE - 1]


@pytest.mark.parametrize("start", EDGES)
@pytest.mark.parametrize("length", [1, 2, ROOM_BYTES, THREE])
def test_of_a_range_only_its_segments_are_read_and_it_is_the_same(start: int, length: int) -> None:
    plain = os.urandom(THREE)
    content = tink_oracle.seal(KEY, BOUND, plain)
    length = min(length, THREE - start)

    opener = Opener(KEY, BOUND, header=content[:HEADER_BYTES], size=len(content))
    span = opener.span(start, length)
    read = b"".join(opener.open([content[span.start : span.end]], first=span.first, after=span.after))

    assert read[span.skipped : span.skipped + length] == plain[start : start + length]
    assert span.end - span.start <= length + 2 * SEGMENT_BYTES


def flip(place: int) -> Callable[[bytes], bytes]:
    return lambda content: content[: place % len(content)] + bytes([content[place] ^ 1]) + content[place:][1:]


def flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def swap(content: bytes) -> bytes:
    first, second, third, rest = (content[at * SEGMENT_BYTES : (at + 1) * SEGMENT_BYTES] for at in range(4))
    return first + third + second + rest


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "the header's length": flip(0),
    "the salt": flip(5),
    "the nonce's prefix": flip(HEADER_BYTES - 1),
    "the first body": flip(HEADER_BYTES + 10),
    "a later body": flip(SEGMENT_BYTES + 10),
    "a tag in the middle": flip(SEGMENT_BYTES - 1),
    "the last tag": flip_last,
    "cut at a segment's edge": lambda content: content[: 2 * SEGMENT_BYTES],
    "only the first segment": lambda content: content[:SEGMENT_BYTES],
    "one byte short": lambda content: content[:-1],
    "half of the last tag": lambda content: content[: 3 * SEGMENT_BYTES + TAG_BYTES],
    "swapped": swap,
    "a segment twice": lambda content: content[:SEGMENT_BYTES] + content,
    "a byte more": lambda content: content + b"\0",
    "a segment more": lambda content: content + content[-SEGMENT_BYTES:],
    "the header alone": lambda content: content[:HEADER_BYTES],
    "less than a header": lambda content: content[: HEADER_BYTES - 1],
    "nothing": lambda content: b"",
}


@pytest.mark.hostile("H58")
@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_was_changed_is_refused(what: str) -> None:
    content = sealed(os.urandom(3 * SEGMENT_BYTES + 5))
    changed = TAMPERED[what](content)

    assert changed != content
    with pytest.raises(Tampered):
        opened(changed)


@pytest.mark.parametrize("size", [0, 1, THREE])
def test_another_key_or_another_place_opens_nothing(size: int) -> None:
    content = sealed(bytes(size))

    for key, bound in ((bytes(32), BOUND), (KEY, BOUND + b"0"), (KEY, b"")):
        with pytest.raises(Tampered):
            opened(content, key=key, bound=bound)


def test_nothing_of_a_damaged_segment_is_given_and_the_reader_is_told() -> None:
    plain = os.urandom(THREE)
    content = flip(SEGMENT_BYTES + 1)(sealed(plain))
    opener = Opener(KEY, BOUND, header=content[:HEADER_BYTES], size=len(content))
    given: list[bytes] = []

    with pytest.raises(Tampered):
        given.extend(opener.open(cut(content[HEADER_BYTES:], SEGMENT_BYTES), first=0, after=opener.count))

    assert b"".join(given) in (b"", plain[:FIRST_ROOM_BYTES])


def test_a_stream_that_ends_early_is_told_even_at_an_edge() -> None:
    content = sealed(os.urandom(THREE))
    opener = Opener(KEY, BOUND, header=content[:HEADER_BYTES], size=len(content))

    with pytest.raises(Tampered):
        list(opener.open([content[HEADER_BYTES:SEGMENT_BYTES]], first=0, after=opener.count))


def test_the_same_is_never_sealed_twice_to_the_same() -> None:
    assert sealed(b"music") != sealed(b"music")
