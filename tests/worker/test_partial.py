"""A table of which only what is read is fetched: the same rows, no more bytes than needed, each of them verified."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import JobFailed
from worker import partial, tables
from worker.partial import Memory, Partial

ROWS, GROUP = 6000, 500


class Stored:
    """A file as the storage has it, and what was read of it."""

    def __init__(self, folder: Path, **form: Any) -> None:
        random = np.random.default_rng(0)
        columns = {f"f{place}": random.normal(size=ROWS) for place in range(6)}
        self.path = folder / "stored.parquet"
        pq.write_table(pa.table({**columns, "key": [f"p{row % 40}" for row in range(ROWS)]}), self.path,
                       row_group_size=GROUP, **form)  # fmt: skip
        self.content = self.path.read_bytes()
        self.read: list[tuple[int, int]] = []
        self.digests = partial.digests(self.path)

    def bytes_of(self, start: int, length: int) -> bytes:
        self.read.append((start, length))
        return self.content[start : start + length]

    def open(self) -> Partial:
        return Partial("stored.parquet", len(self.content), self.digests, self.bytes_of, Memory())


# Plain numbers are what a reader might hand on without a copy, and the memory under them is used again.
@pytest.fixture(params=[{}, {"compression": "none", "use_dictionary": False}], ids=["packed", "plain"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    monkeypatch.setattr(partial, "BLOCK_BYTES", 4096)
    return Stored(tmp_path, **request.param)


def test_every_row_is_read_as_from_the_whole_file(stored: Stored) -> None:
    opened = stored.open()
    assert tables.schema([opened]) == tables.schema([stored.path]) and tables.count_rows([opened]) == ROWS
    wanted = ["f1", "f4", "key"]
    pieces = tables.within(tables.pieces([stored.path, opened]), ROWS - 700, 2 * ROWS)
    read = pa.Table.from_batches([batch for piece in pieces for batch in tables.read_piece(piece, wanted, rows=300)])

    whole = pq.read_table(stored.path, columns=wanted)
    assert read.to_pydict() == pa.concat_tables([whole.slice(ROWS - 700), whole]).to_pydict()


def test_no_more_is_fetched_than_is_read(stored: Stored) -> None:
    opened = stored.open()
    footer = sum(length for _, length in stored.read)
    (piece,) = tables.within(tables.pieces([opened]), 3 * GROUP, 4 * GROUP)
    list(tables.read_piece(piece, ["f2"], rows=GROUP))

    # A column of a group is 4,000 bytes, which lie in two blocks or three.
    assert 4000 <= sum(length for _, length in stored.read) - footer <= 3 * 4096
    assert footer <= partial.TAIL_BYTES + 4096 < len(stored.content) / 4


def test_columns_that_lie_together_are_fetched_together(stored: Stored) -> None:
    opened = stored.open()
    stored.read.clear()
    list(tables.read_piece(tables.pieces([opened])[2], ["f0", "f1", "f2", "f3", "f4", "f5", "key"], rows=GROUP))
    together = list(stored.read)
    stored.read.clear()
    list(tables.read_piece(tables.pieces([opened])[2], ["f0", "f5"], rows=GROUP))

    assert len(together) == 1 and len(stored.read) == 2
    assert together[0][0] % 4096 == 0


def test_many_threads_read_side_by_side(stored: Stored) -> None:
    opened = stored.open()
    pieces = tables.pieces([opened])

    def read(piece: tables.Piece) -> pa.Table:
        return pa.Table.from_batches(tables.read_piece(piece, ["f0", "f5", "key"], rows=200))

    with ThreadPoolExecutor(8) as pool:
        found = pa.concat_tables(pool.map(read, pieces * 3))
    whole = pq.read_table(stored.path, columns=["f0", "f5", "key"])
    assert found.to_pydict() == pa.concat_tables([whole] * 3).to_pydict()


@pytest.mark.parametrize("place", [5000, -5000, -3])
def test_a_byte_that_was_changed_is_never_read(stored: Stored, place: int) -> None:
    spoiled = bytearray(stored.content)
    spoiled[place] ^= 1
    stored.content = bytes(spoiled)

    with pytest.raises(JobFailed) as caught:
        opened = stored.open()
        for piece in tables.pieces([opened]):
            list(tables.read_piece(piece, [f"f{each}" for each in range(6)], rows=GROUP))
    assert caught.value.code == "integrity"


def test_a_file_of_another_length_than_its_digests_is_refused(stored: Stored) -> None:
    stored.digests = stored.digests[: -partial.DIGEST_BYTES]

    with pytest.raises(JobFailed) as caught:
        stored.open()
    assert caught.value.code == "integrity"


def test_a_block_that_the_storage_cuts_short_is_refused(stored: Stored) -> None:
    stored.content = stored.content[:-1]

    with pytest.raises(JobFailed):
        Partial("stored.parquet", len(stored.content) + 1, stored.digests, stored.bytes_of, Memory())
