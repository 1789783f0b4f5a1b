"""Zip archives that no honest tool writes: made byte by byte, for the tests of NPZ."""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DEFLATED = zipfile.ZIP_DEFLATED


@dataclass(frozen=True)
class Entry:
    """One entry; what its headers say can differ from what it is, and from one another."""

    name: str
    packed: bytes
    size: int
    crc: int
    method: int = 0
    flags: int = 0
    mode: int = 0
    local_name: str | None = None
    offset: int | None = None


def stored(name: str, content: bytes) -> Entry:
    return Entry(name, content, len(content), zlib.crc32(content))


def npy(values: object) -> bytes:
    """The bytes of an array as NumPy saves it."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


def array_with_header(header: str, *, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array whose header says anything."""
    text = header.encode() + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def archive(entries: list[Entry]) -> bytes:
    """The entries one after another, and a directory that lists them."""
    # Grown in place: there may be 20,000 entries.
    body, directory = bytearray(), bytearray()
    for entry in entries:
        offset = len(body) if entry.offset is None else entry.offset
        fields = struct.pack(
            "<HHHHIII", entry.flags, entry.method, 0, 33, entry.crc, len(entry.packed), min(entry.size, 2**32 - 1)
        )
        name, local_name = entry.name.encode(), (entry.local_name or entry.name).encode()
        if entry.offset is None:
            body += LOCAL + struct.pack("<H", 20) + fields + struct.pack("<HH", len(local_name), 0) + local_name
            body += entry.packed
        directory += CENTRAL + struct.pack("<HH", 0x0314, 20) + fields
        directory += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, entry.mode << 16, offset) + name
    end = struct.pack(
        "<HHHHIIH", 0, 0, min(len(entries), 65535), min(len(entries), 65535), len(directory), len(body), 0
    )
    return bytes(body + directory + END + end)


def bomb(size: int) -> Entry:
    """Zeros that shrink a thousandfold; packed once and repeated, so that making it takes no time."""
    block = bytes(16 * 1024 * 1024)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    header = array_with_header(str({"descr": "<f8", "fortran_order": False, "shape": (size // 8,)}))
    first = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = first.compress(header) + first.flush(zlib.Z_FULL_FLUSH)
    times = size // len(block)
    return Entry("X.npy", start + packed * times + b"\x03\x00", len(header) + size, 0, method=DEFLATED)


def overlapping(count: int, size: int) -> list[Entry]:
    """Many names for the same bytes: a small file that lists a great many."""
    first = stored("a0.npy", npy(np.zeros(size // 8)))
    return [first, *(replace(first, name=f"a{place}.npy", offset=0) for place in range(1, count))]


def write(path: Path, entries: list[Entry]) -> Path:
    path.write_bytes(archive(entries))
    return path
