"""NPZ: a matrix with its names, or one array a column, in any layout that NumPy saves."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.worker.formats import reading
from worker.formats import npz
from worker.formats.source import BOOLEAN, INTEGER, NUMBER, TEXT, Source


def opened(folder: Path, *, compressed: bool = False, **arrays: Any) -> Source:
    path = folder / "t.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return reading.opened(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_matrix_becomes_a_column_for_each_name(tmp_path: Path, *, compressed: bool) -> None:
    x = np.arange(6.0).reshape(3, 2)
    source = opened(
        tmp_path, compressed=compressed, X=x, feature_names=np.array(["tempo", "energy"]), y=np.array(["a", "b", "a"]),
        groups=np.array([1, 1, 2]), ids=np.array(["p", "q", "r"]),
    )  # fmt: skip

    table = reading.table(source)

    assert source.types == {"tempo": NUMBER, "energy": NUMBER, "y": TEXT, "groups": INTEGER, "ids": TEXT}
    assert table["energy"].to_pylist() == [1.0, 3.0, 5.0]
    assert table["y"].to_pylist() == ["a", "b", "a"]


def test_a_matrix_without_names_numbers_its_columns(tmp_path: Path) -> None:
    source = opened(tmp_path, X=np.zeros((2, 2)), y=np.eye(2))

    assert list(source.types) == ["X0", "X1", "y0", "y1"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_read_in_blocks_whatever_the_layout(
    tmp_path: Path, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "BATCH_BYTES", 1000)
    x = np.random.default_rng(0).normal(size=(1000, 3))
    source = opened(tmp_path, X=np.asarray(x, order=order))

    batches = list(source.batches(source.types))

    assert len(batches) > 10
    assert np.array_equal(np.column_stack([pa.Table.from_batches(batches)[f"X{i}"] for i in range(3)]), x)


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (np.array([1, 2], ">i4"), INTEGER, [1, 2]),
        (np.array([2**64 - 1], np.uint64), NUMBER, [float(2**64)]),
        (np.array([0.5, np.nan], ">f8"), NUMBER, [0.5, None]),
        (np.array([0.5], np.float16), NUMBER, [0.5]),
        (np.array([0.5], np.longdouble), NUMBER, [0.5]),
        (np.array([True, False]), BOOLEAN, [True, False]),
        (np.array(["rock", ""]), TEXT, ["rock", None]),
        (np.array(["Dvořák"]).astype(">U6"), TEXT, ["Dvořák"]),
        (np.array(["Dvořák".encode()]), TEXT, ["Dvořák"]),
        (np.array(["2024-02-29", "NaT"], "datetime64[D]"), TEXT, ["2024-02-29", None]),
    ],
    ids=str,
)
def test_a_dtype_becomes_its_canonical_type(tmp_path: Path, values: np.ndarray, kind: pa.DataType, read: Any) -> None:
    source = opened(tmp_path, a=values)

    assert source.types == {"a": kind}
    assert reading.table(source)["a"].to_pylist() == read


def test_an_array_of_texts_wider_than_a_field_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="texts of at most 10 bytes"):
        path = tmp_path / "t.npz"
        np.savez(path, a=np.array(["x" * 11]))
        reading.opened(path, field_bytes=10)
