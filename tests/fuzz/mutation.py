"""Files that are nearly good: one or several changes to what our generators make, each drawn from a seed."""

import random
from collections.abc import Callable

# What headers count with, at the edges of what they can.
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
CHANGES_AT_MOST = 6


def mutate(content: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """The content after 1 to CHANGES_AT_MOST changes; `others` are what pieces may be taken from."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, CHANGES_AT_MOST)):
        draw.choice(CHANGES)(changed, others, draw)
    return bytes(changed)


def _place(changed: bytearray, draw: random.Random) -> int:
    """Near the beginning more often than not: there are the headers."""
    end = len(changed) if draw.random() < 0.4 else min(len(changed), 256)
    return draw.randrange(end) if end else 0


def _flip(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    if changed:
        changed[_place(changed, draw)] ^= 1 << draw.randrange(8)


def _write(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    at, width = _place(changed, draw), draw.choice([1, 2, 4, 8])
    said = (draw.choice(EDGES) % 2 ** (8 * width)).to_bytes(width, draw.choice(["big", "little"]))
    changed[at : at + width] = said[: len(changed) - at] if changed else said


def _cut(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    at = _place(changed, draw)
    del changed[at : at + draw.choice([1, 2, 4, 16, 256, len(changed)])]


def _repeat(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    at = _place(changed, draw)
    changed[at:at] = changed[at : at + draw.choice([1, 4, 16, 256])] * draw.choice([1, 2, 16])


def _splice(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    other = draw.choice(others)
    at, start = _place(changed, draw), draw.randrange(len(other) + 1)
    changed[at : at + draw.choice([0, 4, 64])] = other[start : start + draw.choice([4, 64, 1024])]


def _noise(changed: bytearray, others: list[bytes], draw: random.Random) -> None:
    at = _place(changed, draw)
    changed[at : at + draw.choice([1, 4, 16])] = draw.randbytes(draw.choice([1, 4, 16]))


CHANGES: list[Callable[[bytearray, list[bytes], random.Random], None]] = [
    _flip, _flip, _write, _write, _cut, _repeat, _splice, _noise,
]  # fmt: skip
