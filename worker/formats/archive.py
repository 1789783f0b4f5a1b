"""The zip archive around the arrays of an NPZ file: checked by its directory, then unpacked within bounds.

Nothing is ever unpickled: a header says shape and dtype, and the bytes behind it are numbers or text.
"""

import errno
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from worker.formats.limits import Limits
from worker.formats.source import Faults

BLOCK_BYTES = 1024 * 1024
# Below this nothing is a bomb: a hundred zeros in a row are data.
FREE_BYTES = 1024 * 1024
# The fixed part of an entry's own header, before its name.
LOCAL_HEADER_BYTES = 30
UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class StoredArray:
    """An array of one or two dimensions whose bytes lie in a file; rows are read as they are needed."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    is_column_major: bool
    file: IO[bytes]
    start: int

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def columns(self) -> int:
        return self.shape[1] if len(self.shape) == 2 else 1

    def read(self, first: int, end: int) -> np.ndarray:
        """Rows from `first` to before `end`, shape (rows, columns)."""
        if not self.is_column_major:
            return self._values(first * self.columns, (end - first) * self.columns).reshape(end - first, self.columns)
        parts = [self._values(column * self.rows + first, end - first) for column in range(self.columns)]
        return np.stack(parts, axis=1)

    def _values(self, first: int, count: int) -> np.ndarray:
        self.file.seek(self.start + first * self.dtype.itemsize)
        return np.frombuffer(self.file.read(count * self.dtype.itemsize), self.dtype, count)


def unpack(path: Path, into: IO[bytes], limits: Limits, faults: Faults) -> list[StoredArray]:
    """All arrays of an archive, their bytes one after another in `into`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(members, archive.start_dir, limits, faults)
            return [_unpack_one(archive, member, into, faults) for member in members]
    except UNREADABLE as cause:
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise
        raise faults.refuse("archive_corrupt", f"the archive is damaged ({type(cause).__name__})") from cause


def _check(members: list[zipfile.ZipInfo], end_of_entries: int, limits: Limits, faults: Faults) -> None:
    if not members:
        raise faults.refuse("dataset_empty", "expected arrays, received an empty archive")
    if len(members) > limits.archive_members:
        said = f"expected at most {limits.archive_members:,} arrays, received {len(members):,}"
        raise faults.refuse("archive_too_many_entries", said)
    seen: set[str] = set()
    for member in members:
        _check_one(member, seen, faults)
        seen.add(_composed(member.filename))
    _check_places(members, end_of_entries, faults)
    inflated, packed = (sum(getattr(m, size) for m in members) for size in ("file_size", "compress_size"))
    if inflated > limits.table_bytes or inflated > FREE_BYTES + limits.archive_ratio * packed:
        said = f"{packed:,} bytes would become {inflated:,}: if they are real, save the arrays uncompressed"
        raise faults.refuse("decompression_limit", said)


def _check_one(member: zipfile.ZipInfo, seen: set[str], faults: Faults) -> None:
    name = member.filename
    is_plain = name.isprintable() and len(name.encode()) <= 255 and not any(sign in name for sign in "/\\:")
    if not is_plain or _composed(name) in seen:
        said = f"expected every array once and under a plain name, received {name[:40]!r}"
        raise faults.refuse("archive_entry_name", said)
    mode = member.external_attr >> 16
    is_file = stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0
    if member.flag_bits & 1 or not is_file or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        said = f"expected plain or deflated arrays, {name!r} is a link, encrypted or packed in another way"
        raise faults.refuse("archive_entry_type", said)
    if not name.endswith(".npy"):
        raise faults.refuse("unsupported_format", f"expected arrays only (name.npy), received {name!r} in the archive")


def _composed(name: str) -> str:
    """What is written alike is one name: an accent may stand with its letter or behind it."""
    return unicodedata.normalize("NFC", name)


def _check_places(members: list[zipfile.ZipInfo], end_of_entries: int, faults: Faults) -> None:
    """Refuse entries that share bytes: so a small file lists terabytes."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    nexts = [member.header_offset for member in ordered[1:]] + [end_of_entries]
    for member, following in zip(ordered, nexts, strict=True):
        end = member.header_offset + LOCAL_HEADER_BYTES + len(member.filename) + member.compress_size
        if end > following:
            raise faults.refuse("archive_overlap", f"{member.filename!r} shares bytes with another entry")


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: IO[bytes], faults: Faults) -> StoredArray:
    with archive.open(member) as packed:
        shape, is_column_major, dtype = _header(packed, member.filename, faults)
        array = StoredArray(member.filename[:-4], dtype, shape, is_column_major, into, into.seek(0, 2))
        expected = int(np.prod([dtype.itemsize, *shape], dtype=object))
        if expected > member.file_size:
            raise _invalid(array.name, f"declares {expected:,} bytes and holds {member.file_size:,}", faults)
        # Reading to the end has the checksum verified, too.
        written = sum(into.write(block) for block in _blocks(packed))
    if written != expected:
        raise _invalid(array.name, f"declares {expected:,} bytes and holds {written:,}", faults)
    return array


def _blocks(packed: IO[bytes]) -> Iterator[bytes]:
    while block := packed.read(BLOCK_BYTES):
        yield block


def _header(packed: IO[bytes], name: str, faults: Faults) -> tuple[tuple[int, ...], bool, np.dtype]:
    """What an array says of itself, before anything is allocated for it."""
    try:
        shape, is_column_major, dtype = HEADERS[np.lib.format.read_magic(packed)](packed)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as cause:
        raise _invalid(name, "has no valid header", faults) from cause
    if dtype.hasobject:
        said = f"{name!r} holds Python objects: save numbers, or text with a fixed dtype such as U20"
        raise faults.refuse("pickle_refused", said)
    is_shape = all(isinstance(side, int) and side >= 0 for side in shape) and 1 <= len(shape) <= 2
    if not is_shape or dtype.itemsize == 0 or dtype.subdtype is not None:
        raise _invalid(name, f"expected one or two dimensions, received {str(shape)[:80]} of {str(dtype)[:40]}", faults)
    return shape, is_column_major and len(shape) == 2, dtype


def _invalid(name: str, message: str, faults: Faults) -> Exception:
    return faults.refuse("array_header_invalid", f"{name!r}: {message}")
