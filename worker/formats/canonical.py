"""Writes the one form that a table takes here: flat Parquet in file order, snappy, row groups of 65,536 rows.

Wide tables and long texts get smaller row groups, so that no reader has to hold more than a bounded number of bytes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from worker.formats.source import ROWS_A_BATCH

# Numbers that hardly repeat leave the dictionary early: at the usual 1 MiB they are read eight times slower.
DICTIONARY_BYTES = 64 * 1024
# 65,536 rows of 64 numbers are 33 MiB.
GROUP_BYTES = 40 * 1024 * 1024


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Write all batches as row groups, and yield each once it is written."""
    with pq.ParquetWriter(path, schema, compression="snappy", dictionary_pagesize_limit=DICTIONARY_BYTES) as writer:
        groups = RowGroups()
        for batch in batches:
            yield from _written(writer, groups.add(batch))
        yield from _written(writer, groups.rest())


def _written(writer: pq.ParquetWriter, groups: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for group in groups:
        writer.write_table(group, row_group_size=ROWS_A_BATCH)
        yield group


class RowGroups:
    """Batches of any size in, groups of one size out: the bytes of a file never depend on who cut the batches."""

    def __init__(self) -> None:
        self._held: list[pa.RecordBatch] = []
        self._rows = self._size = 0

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.Table]:
        """The groups that are full now."""
        rest = batch
        while self._rows + rest.num_rows >= ROWS_A_BATCH or self._size + rest.nbytes >= GROUP_BYTES:
            fitting = rest.slice(0, ROWS_A_BATCH - self._rows)
            yield pa.Table.from_batches([*self._held, fitting])
            self._held, self._rows, self._size, rest = [], 0, 0, rest.slice(fitting.num_rows)
        self._held.append(rest)
        self._rows, self._size = self._rows + rest.num_rows, self._size + rest.nbytes

    def rest(self) -> Iterator[pa.Table]:
        """What is left in the end, if anything is."""
        if self._rows:
            yield pa.Table.from_batches(self._held)
