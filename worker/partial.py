"""A stored table of which only what is read is fetched, into memory: runs of blocks of the file, each block verified.

So a worker that scores a hundredth of a table fetches a hundredth of it, and writes nothing of it to a disk.
"""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import JobFailed

# What is fetched and not needed, at both ends of a run, is less than one of them; a table of 500 GB has half a million.
BLOCK_BYTES = 1024 * 1024
# At once: the allocator keeps as much for the next time.
READ_BYTES = 8 * BLOCK_BYTES
# A smaller file is copied as a whole.
FROM_BYTES = 32 * BLOCK_BYTES
DIGEST_BYTES = 32
# At the end of a Parquet file: the length of its footer, and four letters.
TAIL = struct.Struct("<I4s")
# Arrow reads so much of the end at once, and if the footer is longer the rest of it.
TAIL_BYTES = 65_536

# The bytes of the stored file from a place on, so many.
Read = Callable[[int, int], bytes]


def digests(path: Path) -> bytes:
    """The SHA-256 of each block of a file, one after the other."""
    with path.open("rb") as file:
        return b"".join(hashlib.sha256(block).digest() for block in iter(lambda: file.read(BLOCK_BYTES), b""))


class Memory:
    """Buffers that were used before: they cost no page faults, which take as long as reading and verifying together."""

    def __init__(self) -> None:
        self._spare: list[bytearray] = []

    @contextmanager
    def borrow(self, size_bytes: int) -> Iterator[memoryview]:
        """So many bytes that nobody else has meanwhile."""
        # To pop and to append are atomic.
        buffer = self._spare.pop() if self._spare else bytearray()
        if len(buffer) < size_bytes:
            buffer = bytearray(size_bytes)
        yield memoryview(buffer)[:size_bytes]
        self._spare.append(buffer)


class Partial:
    """A stored Parquet file, its footer read; `known` are its digests. Any thread may use it. Raises JobFailed."""

    def __init__(self, name: str, size_bytes: int, known: bytes, read: Read, memory: Memory) -> None:
        self._name, self._size_bytes, self._digests, self._read = name, size_bytes, known, read
        self._memory = memory
        if len(known) != DIGEST_BYTES * -(-size_bytes // BLOCK_BYTES):
            raise self._damaged()
        with ExitStack() as borrowed:
            end = self._fetch(max(0, size_bytes - TAIL_BYTES), size_bytes, borrowed)
            length = TAIL.size + TAIL.unpack(end.content[-TAIL.size :])[0]
            if length > TAIL_BYTES:
                end = self._fetch(max(0, size_bytes - length), size_bytes, borrowed)
            self.footer: pq.FileMetaData = pq.read_metadata(_Windows(size_bytes, [end]))

    @contextmanager
    def open(self, group: int, columns: Sequence[str]) -> Iterator[pq.ParquetFile]:
        """The file, of which these columns of a row group can be read meanwhile."""
        described, wanted = self.footer.row_group(group), set(columns)
        every = map(described.column, range(described.num_columns))
        runs = _joined([_place_of(column) for column in every if column.path_in_schema in wanted])
        with ExitStack() as borrowed:
            windows = [self._fetch(start, end, borrowed) for start, end in runs]
            file = pa.PythonFile(_Windows(self._size_bytes, windows), mode="r")
            with pq.ParquetFile(file, metadata=self.footer, pre_buffer=False) as opened:
                yield opened

    def _fetch(self, start: int, end: int, borrowed: ExitStack) -> "_Window":
        """The blocks in which these bytes lie, in memory that is borrowed."""
        first, last = start // BLOCK_BYTES, -(-end // BLOCK_BYTES)
        start, end = first * BLOCK_BYTES, min(last * BLOCK_BYTES, self._size_bytes)
        content = borrowed.enter_context(self._memory.borrow(end - start))
        for at in range(start, end, READ_BYTES):
            part = self._read(at, min(READ_BYTES, end - at))
            if len(part) != min(READ_BYTES, end - at):
                raise self._damaged()
            content[at - start : at - start + len(part)] = part
        for place in range(first, last):
            at = place * BLOCK_BYTES - start
            known = self._digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
            if hashlib.sha256(content[at : at + BLOCK_BYTES]).digest() != known:
                raise self._damaged()
        return _Window(start, content)

    def _damaged(self) -> JobFailed:
        return JobFailed(f"The stored file {self._name} is not what was written: restore it.", code="integrity")


def _place_of(column: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Where a column of a row group begins and ends in the file."""
    first = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    start = min(first, column.data_page_offset)
    return start, start + column.total_compressed_size


def _joined(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same in order, as one where hardly anything lies between."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if runs and start - runs[-1][1] <= BLOCK_BYTES:
            start, end = runs[-1][0], max(end, runs.pop()[1])
        runs.append((start, end))
    return runs


@dataclass(frozen=True)
class _Window:
    """Bytes of a file from a place on."""

    start: int
    content: memoryview

    @property
    def end(self) -> int:
        return self.start + len(self.content)


class _Windows(io.RawIOBase):
    """A file of which there are only some windows."""

    def __init__(self, size_bytes: int, windows: Sequence[_Window]) -> None:
        self._size_bytes, self._windows, self._at = size_bytes, windows, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> memoryview:  # Arrow takes any buffer, uncopied
        end = self._size_bytes if size < 0 else min(self._at + size, self._size_bytes)
        for window in self._windows:
            if window.start <= self._at and end <= window.end:
                part = window.content[self._at - window.start : end - window.start]
                self._at = end
                return part
        raise OSError(f"bytes {self._at} to {end} were not fetched")
