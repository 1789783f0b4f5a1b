"""Parquet: each flat type as its canonical one, in batches of bounded size."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.worker.formats import reading
from worker.formats import parquet
from worker.formats import source as source_format
from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, UNKNOWN

NOON = datetime.datetime.fromisoformat("2024-02-29T12:30")
BERLIN = datetime.timezone(datetime.timedelta(hours=1))


def opened(folder: Path, **columns: Any) -> source_format.Source:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return reading.opened(path)


@pytest.mark.parametrize(
    ("array", "kind", "read"),
    [
        (pa.array([1, None], pa.int8()), INTEGER, [1, None]),
        (pa.array([2**63 - 1], pa.int64()), INTEGER, [2**63 - 1]),
        (pa.array([2**64 - 1], pa.uint64()), NUMBER, [float(2**64)]),
        (pa.array([1.5, None], pa.float32()), NUMBER, [1.5, None]),
        (pa.array(np.array([0.5], np.float16)), NUMBER, [0.5]),
        (pa.array([1.5, float("nan"), None]), NUMBER, [1.5, None, None]),
        (pa.array([decimal.Decimal("1.25"), None], pa.decimal128(9, 2)), NUMBER, [1.25, None]),
        (pa.array([True, None]), BOOLEAN, [True, None]),
        (pa.array(["rock", "", None]), TEXT, ["rock", "", None]),
        (pa.array(["rock"], pa.large_string()), TEXT, ["rock"]),
        (pa.array(["rock"], pa.string_view()), TEXT, ["rock"]),
        (pa.array(["rock", "pop", None, "rock"]).dictionary_encode(), TEXT, ["rock", "pop", None, "rock"]),
        (pa.array([7, None, 7]).dictionary_encode(), INTEGER, [7, None, 7]),
        (pa.array([NOON.date(), None]), TEXT, ["2024-02-29", None]),
        (pa.array([NOON, None], pa.timestamp("us")), TEXT, ["2024-02-29T12:30:00.000000", None]),
        (pa.array([NOON.replace(tzinfo=BERLIN)], pa.timestamp("ms", "Europe/Berlin")), TEXT,
         ["2024-02-29T11:30:00.000Z"]),
        (pa.array([NOON.time()], pa.time64("us")), TEXT, ["12:30:00.000000"]),
        (pa.array([None, None]), UNKNOWN, [None, None]),
    ],
    ids=str,
)  # fmt: skip
def test_a_flat_type_becomes_its_canonical_one(tmp_path: Path, array: pa.Array, kind: pa.DataType, read: Any) -> None:
    source = opened(tmp_path, a=array)

    assert source.types == {"a": kind}
    assert reading.table(source)["a"].to_pylist() == read


def test_batches_stay_small_when_a_repeated_word_is_long(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    words = pa.array(["x" * 60_000, "y"])
    coded = pa.DictionaryArray.from_arrays(pa.array(np.arange(3000, dtype=np.int32) % 2), words)
    pq.write_table(pa.table({"a": coded, "n": range(3000)}), path, store_schema=False)

    sizes, rows = [], []
    for batch in reading.opened(path).batches({"a": TEXT, "n": INTEGER}):
        sizes.append(batch.nbytes)
        rows += batch.column("n").to_pylist()

    assert max(sizes) <= source_format.BATCH_BYTES
    assert rows == list(range(3000))


def test_infinite_numbers_are_named_with_their_rows_across_batches(tmp_path: Path) -> None:
    values = np.zeros(200_000)
    values[[3, 150_000]] = np.inf, -np.inf

    source = opened(tmp_path, a=values)
    reading.table(source)

    assert [(fault.row, fault.column) for fault in source.faults.kept] == [(3, "a"), (150_000, "a")]
    assert source.faults.total == 2


def test_columns_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    source = opened(tmp_path, a=[1, 2], b=["x", "y"], c=[0.5, 1.5])

    batches = list(source.batches({"c": NUMBER, "a": NUMBER}))

    assert batches[0].schema.names == ["c", "a"]
    assert batches[0].to_pylist() == [{"c": 0.5, "a": 1.0}, {"c": 1.5, "a": 2.0}]


def test_want_of_memory_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(tmp_path, a=["x"])

    def fail(*_: Any) -> pa.Array:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(parquet, "_text", fail)

    with pytest.raises(MemoryError):
        reading.table(source)
