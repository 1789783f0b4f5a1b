"""Makes sounds, files of them in every format, and files that no decoder should fall for."""

import struct
from pathlib import Path

import numpy as np
import soundfile

ENCODERS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
# One huge call makes the encoders of Ogg crash.
BLOCK = 65_536
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def sound(*, rate_hz: int = 44_100, channels: int = 2, seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """A sweep in some noise, float32 (frames, channels), another noise in each channel."""
    times_s = np.arange(round(rate_hz * seconds)) / rate_hz
    sweep = 0.3 * np.sin(2 * np.pi * (200 + 300 * times_s) * times_s)
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(len(times_s), channels))
    return (sweep[:, None] + noise).astype(np.float32)


def write(path: Path, samples: np.ndarray, *, rate_hz: int = 44_100, subtype: str | None = None) -> Path:
    """Encode as the name says."""
    container, usual = ENCODERS[path.suffix[1:]]
    with soundfile.SoundFile(path, "w", rate_hz, samples.shape[1], subtype or usual, format=container) as file:
        for at in range(0, len(samples), BLOCK):
            file.write(samples[at : at + BLOCK])
    return path


def make(path: Path, **rest: float) -> Path:
    """A file with a sound in it; opus needs a rate of its own."""
    rate_hz = int(rest.pop("rate_hz", 48_000 if path.suffix == ".opus" else 44_100))
    samples = sound(rate_hz=rate_hz, channels=int(rest.pop("channels", 2)), **rest)
    return write(path, samples, rate_hz=rate_hz)


def wav(
    samples: bytes = b"\0" * 4000,
    *,
    tag: int = PCM,
    channels: int = 1,
    rate_hz: int = 8000,
    bits: int = 16,
    magic: bytes = b"RIFF",
    claimed: int | None = None,
    width: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """A WAV file by hand, with whatever in its header."""
    width = channels * bits // 8 % 65_536 if width is None else width
    layout = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width % 2**32, width, bits) + extra
    chunks = [(b"fmt ", len(layout), layout), (b"data", len(samples) if claimed is None else claimed, samples)]
    body = b"".join(name + struct.pack("<I", length) + content for name, length, content in chunks)
    return magic + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def extensible(tag: int, bits: int, tail: bytes = GUID_TAIL) -> bytes:
    """What follows the layout in WAVE_FORMAT_EXTENSIBLE: its size, the valid bits, the speakers, the sort."""
    return struct.pack("<HHIH", 22, bits, 4, tag) + tail


def id3(length: int, *, claimed: int | None = None) -> bytes:
    size = length if claimed is None else claimed
    return b"ID3\x04\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(length)


def claim_flac_frames(flac: bytes, frames: int) -> bytes:
    """The same file with another number of frames in its header."""
    packed = int.from_bytes(flac[18:26], "big") >> 36 << 36 | frames
    return flac[:18] + packed.to_bytes(8, "big") + flac[26:]


def claim_mp3_frames(mp3: bytes, frames: int) -> bytes:
    """The same file with another number of frames in its first frame, which only describes the others."""
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    assert at > 0, "the encoder has written no description"
    return mp3[: at + 8] + struct.pack(">I", frames) + mp3[at + 12 :]


def claim_ogg_frames(ogg: bytes, more: int) -> bytes:
    """The same file with so many more frames claimed by its last page, and the checksum that this asks for."""
    at = ogg.rfind(b"OggS")
    frames = int.from_bytes(ogg[at + 6 : at + 14], "little") + more
    page = ogg[at : at + 6] + frames.to_bytes(8, "little") + ogg[at + 14 : at + 22] + bytes(4) + ogg[at + 26 :]
    return ogg[:at] + page[:22] + _ogg_checksum(page).to_bytes(4, "little") + page[26:]


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with the highest bit first, from 0 (RFC 3533, section 6)."""
    rest = 0
    for byte in page:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if rest >> 31 else rest << 1
    return rest


def ogg_page(body: bytes, *, flags: int = 2) -> bytes:
    """A first page; libsndfile would look at its checksum, the header check does not."""
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([1, len(body)]) + body


def hour_of_silence(path: Path) -> Path:
    """A megabyte of FLAC that is an hour in eight channels, and 920 MB once it is decoded."""
    silence = np.zeros((8 * BLOCK, 8), np.int16)
    with soundfile.SoundFile(path, "w", 8000, 8, "PCM_16", format="FLAC", compression_level=0.0) as file:
        for _ in range(3600 * 8000 // len(silence) + 1):
            file.write(silence)
    return path
