"""The canonical file: file order, row groups of 65,536 rows, fewer where rows are long."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker.formats import canonical


def write(path: Path, *batches: pa.RecordBatch) -> list[int]:
    return [group.num_rows for group in canonical.write(path, batches[0].schema, batches)]


@pytest.mark.parametrize("sizes", [[200_000], [65_536, 65_536], [1, 65_535, 1], [0, 10, 0], [30_000] * 7])
def test_rows_are_grouped_by_65536_whatever_the_batches(tmp_path: Path, sizes: list[int]) -> None:
    path, starts = tmp_path / "part.parquet", [sum(sizes[:place]) for place in range(len(sizes))]
    batches = [
        pa.record_batch({"a": pa.array(range(start, start + size), pa.int64())})
        for start, size in zip(starts, sizes, strict=True)
    ]

    groups = write(path, *batches)

    assert set(groups[:-1]) <= {65_536} and 0 < groups[-1] <= 65_536
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)] == groups
    assert file.read()["a"].to_pylist() == list(range(sum(sizes)))


def test_a_row_group_is_cut_where_it_would_be_too_large_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical, "GROUP_BYTES", 10_000)
    batches = [pa.record_batch({"a": ["x" * 1000] * 4}) for _ in range(10)]

    groups = write(tmp_path / "part.parquet", *batches)

    assert sum(groups) == 40
    assert max(groups) <= 12


def test_numbers_that_hardly_repeat_are_stored_without_a_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"

    write(path, pa.record_batch({"a": pa.array([float(value) for value in range(60_000)])}))

    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.total_uncompressed_size < 60_000 * 8 * 1.2
