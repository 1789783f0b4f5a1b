"""Zip archives of pieces: the directory is checked before anything is unpacked, and nothing is unpacked to disk."""

import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from worker.formats.archive import FREE_BYTES, LOCAL_HEADER_BYTES, UNREADABLE
from worker.formats.limits import Limits
from worker.symbolic import bounds
from worker.symbolic.flaws import Flaw

MOST_ENTRIES = 50_000
# Read at once, of one entry and of all.
MOST_ENTRY_BYTES, MOST_BYTES = 64 * bounds.MiB, 2048 * bounds.MiB
NAME_BYTES = 255
CONTAINER = "META-INF/container.xml"
# What operating systems put beside the files.
SIDE_FOLDER = "__MACOSX"

Entry = zipfile.ZipInfo
Entries = Sequence[Entry]


def opened(path: Path | IO[bytes]) -> zipfile.ZipFile:
    """The archive, its directory checked. Raises Flaw."""
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as cause:
        raise Flaw("archive_corrupt", f"the archive is damaged ({type(cause).__name__})") from cause
    try:
        _check(archive.infolist(), archive.start_dir)
    except Flaw:
        archive.close()
        raise
    return archive


def files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries that somebody put there, in the order of their names."""
    kept = [
        entry
        for entry in archive.infolist()
        if not entry.is_dir()
        and not entry.filename.startswith(f"{SIDE_FOLDER}/")
        and not entry.filename.rpartition("/")[2].startswith(".")
    ]
    return sorted(kept, key=lambda entry: entry.filename)


def content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, their checksum verified. Raises Flaw."""
    if entry.file_size > MOST_ENTRY_BYTES:
        said = (
            f"expected at most {MOST_ENTRY_BYTES // bounds.MiB} MiB once unpacked, received {entry.file_size:,} bytes"
        )
        raise Flaw("decompression_limit", said)
    try:
        with archive.open(entry) as packed:
            # Never more than the directory says, which was checked; one more tells whether that was a lie.
            unpacked = packed.read(entry.file_size + 1)
    except (*UNREADABLE, RuntimeError) as cause:
        raise Flaw("archive_corrupt", f"the archive is damaged ({type(cause).__name__})") from cause
    if len(unpacked) != entry.file_size:
        said = f"{entry.filename!r} holds {len(unpacked):,} bytes, its directory says {entry.file_size:,}"
        raise Flaw("archive_corrupt", said)
    return unpacked


def _check(entries: Entries, end_of_entries: int) -> None:
    if not entries:
        raise Flaw("archive_corrupt", "expected pieces, received an empty archive")
    if len(entries) > MOST_ENTRIES:
        raise Flaw("archive_too_many_entries", f"expected at most {MOST_ENTRIES:,} entries, received {len(entries):,}")
    seen: set[str] = set()
    for entry in entries:
        _check_one(entry, seen)
        seen.add(entry.filename)
    _check_places(entries, end_of_entries)
    unpacked, packed = (sum(getattr(entry, size) for entry in entries) for size in ("file_size", "compress_size"))
    if unpacked > MOST_BYTES or unpacked > FREE_BYTES + Limits.archive_ratio * packed:
        raise Flaw("decompression_limit", f"{packed:,} bytes would become {unpacked:,}: no music is packed so small")


def _check_one(entry: zipfile.ZipInfo, seen: set[str]) -> None:
    name = entry.filename
    parts = name.removesuffix("/").split("/")
    is_plain = name.isprintable() and len(name.encode()) <= NAME_BYTES and not any(sign in name for sign in "\\:")
    if not is_plain or any(part in ("", ".", "..") for part in parts) or name in seen:
        said = f"expected every file once and under a plain name within the archive, received {name[:60]!r}"
        raise Flaw("archive_entry_name", said)
    mode = entry.external_attr >> 16
    is_plain_file = stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR)
    if (
        entry.flag_bits & 1
        or not is_plain_file
        or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    ):
        said = f"expected plain or deflated files, {name[:60]!r} is a link, encrypted or packed in another way"
        raise Flaw("archive_entry_type", said)


def _check_places(entries: Entries, end_of_entries: int) -> None:
    """Refuse entries that share bytes: so a small file lists terabytes."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    nexts = [entry.header_offset for entry in ordered[1:]] + [end_of_entries]
    for entry, following in zip(ordered, nexts, strict=True):
        if entry.header_offset + LOCAL_HEADER_BYTES + len(entry.filename) + entry.compress_size > following:
            raise Flaw("archive_overlap", f"{entry.filename[:60]!r} shares bytes with another entry")
