"""Canonical Parquet becomes arrays, whole or as a stream."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.worker.canonical import write
from worker import tables
from worker.tables import Texts


def test_a_number_column_is_float64_with_nan_where_it_is_empty(tmp_path: Path) -> None:
    paths, _ = write(tmp_path, {"bpm": [120, None, 90], "energy": [0.5, 0.25, None]})

    read = tables.read(paths, ["energy", "bpm"])

    np.testing.assert_array_equal(read["bpm"], [120.0, np.nan, 90.0])
    np.testing.assert_array_equal(read["energy"], [0.5, 0.25, np.nan])
    assert list(read) == ["energy", "bpm"]


def test_words_keep_one_code_over_all_parts(tmp_path: Path) -> None:
    paths, _ = write(tmp_path, {"key": ["C", None, "G", "G", "C", "D"]}, part_rows=2)

    key = tables.read(paths, ["key"])["key"]

    assert isinstance(key, Texts)
    assert key.words == ["C", "G", "D"]
    assert key.codes.tolist() == [0, tables.MISSING, 1, 1, 0, 2]


def test_a_boolean_column_reads_as_false_and_true_whatever_comes_first(tmp_path: Path) -> None:
    paths, _ = write(tmp_path, {"live": [True, None, False]})

    live = tables.read(paths, ["live"])["live"]

    assert isinstance(live, Texts) and live.boolean
    assert [live.words[code] for code in live.codes[[0, 2]]] == ["true", "false"]
    assert live.codes[1] == tables.MISSING


def test_pieces_hold_the_asked_columns_in_the_order_of_the_rows(tmp_path: Path) -> None:
    paths, _ = write(tmp_path, {"n": list(range(10)), "n.of": list(range(10))}, part_rows=6)

    pieces = tables.pieces(paths)
    batches = [batch for piece in pieces for batch in tables.read_piece(piece, ["n"], rows=4)]

    assert [(piece.first, piece.rows) for piece in pieces] == [(0, 6), (6, 4)]
    assert [row for batch in batches for row in batch.column("n").to_pylist()] == list(range(10))
    assert [batch.num_rows for batch in batches] == [4, 2, 4]
    assert tables.count_rows(paths) == 10


def test_whole_numbers_are_labels_without_a_decimal_point() -> None:
    labels = tables.labels(np.array([10.0, np.nan, 2.0, 0.5, 10.0]))

    assert labels.words == ["0.5", "2", "10"]
    assert labels.codes.tolist() == [2, tables.MISSING, 1, 0, 2]


def test_equal_rows_and_only_they_share_a_fingerprint() -> None:
    numbers = np.array([0.0, -0.0, np.nan, np.nan, 1.0, 0.0])
    words = Texts(["C", "G"], np.array([0, 0, 1, 1, 0, 1], np.int32))

    prints = tables.fingerprints([numbers, words])

    assert prints[0] == prints[1] and prints[2] == prints[3]
    assert len(set(prints.tolist())) == 4


def test_cells_that_change_places_change_the_fingerprint() -> None:
    here, there = (
        tables.fingerprints([np.array([1.0]), np.array([2.0])]),
        tables.fingerprints([np.array([2.0]), np.array([1.0])]),
    )

    assert here[0] != there[0]


def test_a_float_column_of_a_batch_is_not_copied() -> None:
    array = pa.array([1.0, 2.0])

    read = tables.column(array)

    assert isinstance(read, np.ndarray) and read.ctypes.data == array.buffers()[1].address
