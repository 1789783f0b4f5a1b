"""MIDI files put together byte by byte, for the tests of readers."""

import struct
from collections.abc import Sequence

END = b"\x00\xff\x2f\x00"


def number(value: int) -> bytes:
    """As MIDI writes a number of variable length."""
    septets = [value & 0x7F]
    while value := value >> 7:
        septets.insert(0, value & 0x7F | 0x80)
    return bytes(septets)


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content)) + content


def header(*, kind: int = 1, tracks: int = 1, division: int = 96) -> bytes:
    return chunk(b"MThd", struct.pack(">HHH", kind, tracks, division))


def file(*tracks: bytes, kind: int = 1, division: int = 96) -> bytes:
    """A whole file of these tracks, each its events without the end of the track."""
    content = b"".join(chunk(b"MTrk", track + END) for track in tracks)
    return header(kind=kind, tracks=len(tracks), division=division) + content


def note(pitch: int, length: int, *, after: int = 0, channel: int = 0, velocity: int = 80) -> bytes:
    on = number(after) + bytes([0x90 | channel, pitch, velocity])
    return on + number(length) + bytes([0x80 | channel, pitch, 0])


def melody(pitches: Sequence[int], *, length: int = 96, channel: int = 0) -> bytes:
    return b"".join(note(pitch, length, channel=channel) for pitch in pitches)


def meta(kind: int, content: bytes, *, after: int = 0) -> bytes:
    return number(after) + bytes([0xFF, kind]) + number(len(content)) + content


def tempo(microseconds: int, *, after: int = 0) -> bytes:
    return meta(0x51, microseconds.to_bytes(3, "big"), after=after)
