"""A stored table of which only what is read is copied: verified blocks, at their places in a sparse file.

So a worker that scores a hundredth of a table fetches a hundredth of it.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import pyarrow.parquet as pq

from shared.errors import JobFailed

BLOCK_BYTES = 8 * 1024 * 1024
# A smaller file is copied as a whole.
FROM_BYTES = 4 * BLOCK_BYTES
DIGEST_BYTES = 32
# At the end of a Parquet file: the length of its footer, and four letters.
TAIL = struct.Struct("<I4s")

# The bytes of the stored file from a place on, so many.
Read = Callable[[int, int], bytes]


def digests(path: Path) -> bytes:
    """The SHA-256 of each block of a file, one after the other."""
    with path.open("rb") as file:
        return b"".join(hashlib.sha256(block).digest() for block in iter(lambda: file.read(BLOCK_BYTES), b""))


class Partial:
    """A local file with the footer of a stored one, and with what `fetch` was asked for."""

    def __init__(self, path: Path, size_bytes: int, known: bytes, read: Read) -> None:
        self.path, self._size_bytes, self._digests, self._read = path, size_bytes, known, read
        self._locks = [Lock() for _ in range(-(-size_bytes // BLOCK_BYTES))]
        self._has = [False] * len(self._locks)
        if len(known) != DIGEST_BYTES * len(self._locks):
            raise _damaged(path)
        with path.open("wb") as file:
            file.truncate(size_bytes)
        self._fetch_footer()

    def fetch(self, group: int, columns: Sequence[str]) -> None:
        """Copy what these columns of a row group take, unless it is here; any thread may ask. Raises JobFailed."""
        described = self._footer.row_group(group)
        wanted = set(columns)
        for column in map(described.column, range(described.num_columns)):
            if column.path_in_schema in wanted:
                first = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
                start = min(first, column.data_page_offset)
                self._fetch(start, start + column.total_compressed_size)

    def _fetch_footer(self) -> None:
        self._fetch(self._size_bytes - TAIL.size, self._size_bytes)
        with self.path.open("rb") as file:
            file.seek(-TAIL.size, 2)
            length, _ = TAIL.unpack(file.read(TAIL.size))
        self._fetch(max(0, self._size_bytes - TAIL.size - length), self._size_bytes)
        self._footer = pq.read_metadata(self.path)

    def _fetch(self, start: int, end: int) -> None:
        for place in range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            # Two threads may need the same block; another one is not waited for.
            with self._locks[place]:
                if not self._has[place]:
                    self._copy(place)

    def _copy(self, place: int) -> None:
        start = place * BLOCK_BYTES
        block = self._read(start, min(BLOCK_BYTES, self._size_bytes - start))
        if hashlib.sha256(block).digest() != self._digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]:
            raise _damaged(self.path)
        with self.path.open("r+b") as file:
            file.seek(start)
            file.write(block)
        self._has[place] = True


def _damaged(path: Path) -> JobFailed:
    return JobFailed(f"The stored file {path.name} is not what was written: restore it.", code="integrity")
