"""Reads the headers of WAV, FLAC and Ogg in Python alone, before any codec sees the file (rule R15)."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from shared.errors import JobFailed
from worker.audio.limits import AudioLimits

# A recorder writes a dozen chunks in front of the sound.
WAV_CHUNKS = 200
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
BITS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
WAV_CODECS = {
    0x02: "MS-ADPCM", 0x06: "A-law", 0x07: "mu-law", 0x11: "IMA-ADPCM", 0x31: "GSM 6.10", 0x40: "G.721 ADPCM",
    0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC", 0x161: "WMA",
}  # fmt: skip
# Programs that write to a pipe cannot know the size, and say one of those from here on.
WAV_ENDLESS = 0x7FFFF000

OGG_PAGE_BYTES = 27 + 255 + 255 * 255
OGG_FIRST, OGG_LAST = 2, 4
# Published files claim some samples that they do not hold; half a packet of Opus is less than any page that is lost.
OGG_SLACK = 480
OGG_OTHERS = {b"\x7fFLAC": "FLAC in Ogg", b"Speex": "Speex", b"\x80theora": "Theora", b"fishead": "Ogg with a skeleton"}


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `frames` is None where it says nothing that can be believed.

    `slack` are frames that an intact file may lack; `is_cut` says that its end is missing.
    """

    format: str
    rate_hz: int
    channels: int
    frames: int | None = None
    slack: int = 0
    is_cut: bool = False


def corrupt(said: str) -> JobFailed:
    return JobFailed(f"{said}: upload the file again, or encode it anew", code="audio_corrupt")


def refused(what: str) -> JobFailed:
    said = f"expected WAV of integers or floats, FLAC, MP3, Ogg Vorbis or Ogg Opus, received {what}: convert it"
    return JobFailed(said, code="audio_codec_refused")


def check(limits: AudioLimits, *, rate_hz: int, channels: int) -> None:
    if not 1 <= channels <= limits.channels:
        said = f"expected 1 to {limits.channels} channels, received {channels:,}: mix the recording to stereo"
        raise JobFailed(said, code="audio_parameters")
    if not limits.rate_low_hz <= rate_hz <= limits.rate_high_hz:
        bounds = f"{limits.rate_low_hz:,} to {limits.rate_high_hz:,} Hz"
        said = f"expected a sampling rate of {bounds}, received {rate_hz:,}: resample the recording"
        raise JobFailed(said, code="audio_parameters")


def wav(file: BinaryIO, limits: AudioLimits) -> Header:
    """Of a file that begins with RIFF…WAVE."""
    at, layout = 12, None
    for _ in range(WAV_CHUNKS):
        chunk = read_at(file, at, 8)
        if len(chunk) < 8:
            break
        name, length = struct.unpack("<4sI", chunk)
        if name == b"fmt " and layout is not None:
            raise corrupt("expected one format chunk, received two")
        if name == b"fmt ":
            layout = _wav_layout(file.read(min(length, 40)), limits)
        if name == b"data" and layout is not None:
            rate_hz, channels, width = layout
            return Header("wav", rate_hz, channels, None if length >= WAV_ENDLESS else length // width)
        if name == b"data":
            break
        at += 8 + length + length % 2
    raise corrupt("expected the chunks 'fmt ' and 'data' in this order")


def _wav_layout(chunk: bytes, limits: AudioLimits) -> tuple[int, int, int]:
    """Sampling rate, channels and the bytes of a frame."""
    if len(chunk) < 16:
        raise corrupt("expected a format chunk of 16 bytes or more")
    tag, channels, rate_hz, _, width, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == EXTENSIBLE:
        tag = struct.unpack("<H", chunk[24:26])[0] if chunk[26:40] == GUID_TAIL else EXTENSIBLE
    if tag not in BITS:
        raise refused(f"a WAV of {WAV_CODECS.get(tag, f'codec 0x{tag:04x}')}")
    check(limits, rate_hz=rate_hz, channels=channels)
    if bits == 0:
        raise JobFailed("expected samples of 8 bits or more, received 0: encode the file anew", code="audio_parameters")
    if bits not in BITS[tag]:
        raise refused(f"a WAV with samples of {bits} bits")
    if width != channels * bits // 8:
        raise corrupt(f"expected frames of {channels * bits // 8} bytes, received {width}")
    return rate_hz, channels, width


def flac(file: BinaryIO, at: int, limits: AudioLimits) -> Header:
    """Of a file with fLaC at a place (RFC 9639, section 8.2)."""
    block = read_at(file, at + 4, 38)
    if len(block) < 38 or block[0] & 127 != 0 or block[1:4] != b"\0\0\x22":
        raise corrupt("expected a STREAMINFO block of 34 bytes")
    packed = int.from_bytes(block[14:22], "big")
    rate_hz, channels, frames = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    check(limits, rate_hz=rate_hz, channels=channels)
    return Header("flac", rate_hz, channels, frames or None)


def ogg(file: BinaryIO, size: int, limits: AudioLimits) -> Header:
    """Of the first page, which holds one identification header (RFC 3533, RFC 7845; Vorbis I, 4.2.2)."""
    page = read_at(file, 0, OGG_PAGE_BYTES)
    body = page[27 + page[26] :] if len(page) > 27 else b""
    if len(body) < 19 or page[4] != 0 or not page[5] & OGG_FIRST:
        raise corrupt("expected a first page of Ogg with a header in it")
    if body.startswith(b"OpusHead"):
        name, channels, rate_hz = "ogg-opus", body[9], 48_000
    elif body.startswith(b"\x01vorbis"):
        name, channels, rate_hz = "ogg-vorbis", body[11], int.from_bytes(body[12:16], "little")
    else:
        raise refused(next((what for magic, what in OGG_OTHERS.items() if body.startswith(magic)), "another Ogg"))
    check(limits, rate_hz=rate_hz, channels=channels)
    return Header(name, rate_hz, channels, slack=OGG_SLACK, is_cut=not _ogg_ends(file, size))


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page is whole, and says that it is the last."""
    tail = read_at(file, max(0, size - 2 * OGG_PAGE_BYTES), 2 * OGG_PAGE_BYTES)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return bool(page[5] & OGG_LAST) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def read_at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)
