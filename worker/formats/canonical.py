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
        for group in _row_groups(batches):
            writer.write_table(group, row_group_size=ROWS_A_BATCH)
            yield group


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        rest = batch
        while rows + rest.num_rows >= ROWS_A_BATCH or size + rest.nbytes >= GROUP_BYTES:
            fitting = rest.slice(0, ROWS_A_BATCH - rows)
            yield pa.Table.from_batches([*held, fitting])
            held, rows, size, rest = [], 0, 0, rest.slice(fitting.num_rows)
        held.append(rest)
        rows, size = rows + rest.num_rows, size + rest.nbytes
    if rows:
        yield pa.Table.from_batches(held)
