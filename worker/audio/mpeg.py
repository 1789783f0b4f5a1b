"""Reads the headers of MP3 in Python alone: the tags in front, the first frame, and what it says of the others."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from worker.audio.headers import Header, check, corrupt, read_at
from worker.audio.limits import AudioLimits

# Pictures in a tag rarely exceed 10 MB; a second tag is what a program leaves that did not see the first.
ID3_BYTES = 64 * 1024 * 1024
ID3_TAGS = 4
# Padding after a tag, or the tail of a frame where a recording of a stream begins.
SEARCHED = 64 * 1024
CHAIN = 3
# The longest frame: 320 kbit/s at 32 kHz and a byte of padding.
MOST_FRAME_BYTES = 1441
KBPS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# Eight kbit/s at 48 kHz, or at 24 kHz in frames of half the length.
FRAME_BYTES = 24
# The 12 bits of delay and of padding that an encoder may ask a decoder to cut off, and a frame that only describes.
SLACK = 2 * 4096 + 1152


def after_tags(file: BinaryIO, size: int) -> int:
    """Where the sound begins behind ID3v2 tags."""
    at = 0
    for _ in range(ID3_TAGS):
        head = read_at(file, at, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        length = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        if length > ID3_BYTES or at + 10 + length > size:
            raise corrupt(f"expected an ID3 tag within the file, received one that claims {length:,} bytes")
        at += 10 + length + (10 if head[5] & 16 else 0)
    return at


@dataclass(frozen=True)
class Frame:
    version: int
    rate_hz: int
    channels: int
    bytes: int
    samples: int


def header(file: BinaryIO, size: int, at: int, limits: AudioLimits) -> Header:
    """Of the first frame behind a place that others follow."""
    # A chain that begins where the search ends lies in the window as well: only the file can end it.
    window = read_at(file, at, SEARCHED + CHAIN * MOST_FRAME_BYTES)
    start = window.find(0xFF, 0, SEARCHED)
    while start >= 0 and not _chain(window, start):
        start = window.find(0xFF, start + 1, SEARCHED)
    first = frame_of(window[start : start + 4]) if start >= 0 else None
    if first is None:
        raise corrupt("expected frames of MP3, received bytes of no known sort")
    check(limits, rate_hz=first.rate_hz, channels=first.channels)
    frames, claimed = _xing(window[start : start + first.bytes], first)
    # Some encoders count the tags as well, and no file is cut that holds as much in all as it claims.
    is_cut = claimed is not None and claimed > size
    if frames is None or frames * FRAME_BYTES > (claimed or size):
        return Header("mp3", first.rate_hz, first.channels, is_cut=is_cut)
    return Header("mp3", first.rate_hz, first.channels, frames * first.samples, SLACK, is_cut)


def frame_of(head: bytes) -> Frame | None:
    """The header of a frame of layer III (ISO 11172-3, 2.4.2.3), or None."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, kbps, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbps in (0, 15) or rate == 3:
        return None
    rate_hz, samples = RATES[version][rate], 1152 if version == 3 else 576
    length = samples // 8 * KBPS[3 if version == 3 else 2][kbps] * 1000 // rate_hz + (head[2] >> 1 & 1)
    return Frame(version, rate_hz, 1 if head[3] >> 6 == 3 else 2, length, samples)


def _chain(window: bytes, at: int) -> bool:
    """Whether frames of one sort follow each other from a place on.

    At the end of a file fewer are enough, but only of one that is nothing else: elsewhere noise looks like that.
    """
    first, is_all = frame_of(window[at : at + 4]), at == 0
    for _ in range(CHAIN):
        frame = frame_of(window[at : at + 4])
        if frame is None or first is None or (frame.version, frame.rate_hz) != (first.version, first.rate_hz):
            return first is not None and is_all and at >= len(window)
        at += frame.bytes
    return True


def _xing(frame: bytes, first: Frame) -> tuple[int | None, int | None]:
    """Frames and bytes that the descriptive first frame claims."""
    at = 4 + ((17 if first.channels == 1 else 32) if first.version == 3 else (9 if first.channels == 1 else 17))
    if frame[at : at + 4] not in (b"Xing", b"Info") or len(frame) < at + 16:
        return None, None
    flags, *values = struct.unpack(">III", frame[at + 4 : at + 16])
    frames = values.pop(0) if flags & 1 else None
    return frames, values[0] if flags & 2 else None
