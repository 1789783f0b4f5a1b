"""A table of which only what is read is copied: the same rows, no more bytes than needed, each of them verified."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import JobFailed
from worker import partial, tables
from worker.partial import Partial

ROWS, GROUP = 6000, 500


class Stored:
    """A file as the storage has it, and what was read of it."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(0)
        columns = {f"f{place}": random.normal(size=ROWS) for place in range(6)}
        self.path = folder / "stored.parquet"
        pq.write_table(pa.table({**columns, "key": [f"p{row % 40}" for row in range(ROWS)]}), self.path,
                       row_group_size=GROUP)  # fmt: skip
        self.content = self.path.read_bytes()
        self.read: list[tuple[int, int]] = []
        self.digests = partial.digests(self.path)

    def bytes_of(self, start: int, length: int) -> bytes:
        self.read.append((start, length))
        return self.content[start : start + length]

    def open(self, path: Path) -> Partial:
        return Partial(path, len(self.content), self.digests, self.bytes_of)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    monkeypatch.setattr(partial, "BLOCK_BYTES", 4096)
    return Stored(tmp_path)


def test_every_row_is_read_as_from_the_whole_file(stored: Stored, tmp_path: Path) -> None:
    opened = stored.open(tmp_path / "copy.parquet")
    assert tables.schema([opened]) == tables.schema([stored.path]) and tables.count_rows([opened]) == ROWS
    wanted = ["f1", "f4", "key"]
    pieces = tables.within(tables.pieces([stored.path, opened]), ROWS - 700, 2 * ROWS)
    read = pa.Table.from_batches([batch for piece in pieces for batch in tables.read_piece(piece, wanted, rows=300)])

    whole = pq.read_table(stored.path, columns=wanted)
    assert read.to_pydict() == pa.concat_tables([whole.slice(ROWS - 700), whole]).to_pydict()


def test_no_more_is_copied_than_is_read_and_nothing_twice(stored: Stored, tmp_path: Path) -> None:
    opened = stored.open(tmp_path / "copy.parquet")
    footer = sum(length for _, length in stored.read)
    (piece,) = tables.within(tables.pieces([opened]), 3 * GROUP, 4 * GROUP)
    for _ in range(3):
        list(tables.read_piece(piece, ["f2"], rows=GROUP))

    assert len(set(stored.read)) == len(stored.read)
    # A column of a group is 4,000 bytes, which may lie over three blocks' ends at the most.
    assert sum(length for _, length in stored.read) - footer <= 3 * 4096
    assert footer < len(stored.content) / 4


def test_many_threads_copy_each_block_once(stored: Stored, tmp_path: Path) -> None:
    opened = stored.open(tmp_path / "copy.parquet")
    pieces = tables.pieces([opened])

    def rows(piece: tables.Piece) -> int:
        return sum(batch.num_rows for batch in tables.read_piece(piece, ["f0", "f5", "key"], rows=200))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(rows, pieces * 3)) == 3 * ROWS
    assert len(set(stored.read)) == len(stored.read)


@pytest.mark.parametrize("place", [5000, -5000, -3])
def test_a_byte_that_was_changed_is_never_read(stored: Stored, tmp_path: Path, place: int) -> None:
    spoiled = bytearray(stored.content)
    spoiled[place] ^= 1
    stored.content = bytes(spoiled)

    with pytest.raises(JobFailed) as caught:
        opened = stored.open(tmp_path / "copy.parquet")
        for piece in tables.pieces([opened]):
            list(tables.read_piece(piece, [f"f{each}" for each in range(6)], rows=GROUP))
    assert caught.value.code == "integrity"


def test_a_file_of_another_length_than_its_digests_is_refused(stored: Stored, tmp_path: Path) -> None:
    stored.digests = stored.digests[: -partial.DIGEST_BYTES]

    with pytest.raises(JobFailed) as caught:
        stored.open(tmp_path / "copy.parquet")
    assert caught.value.code == "integrity"


def test_a_block_that_the_storage_cuts_short_is_refused(stored: Stored, tmp_path: Path) -> None:
    stored.content = stored.content[:-1]

    with pytest.raises(JobFailed):
        Partial(tmp_path / "copy.parquet", len(stored.content) + 1, stored.digests, stored.bytes_of)
