"""Scoring streams a table: keys come back, bad rows go to the errors, nothing stops the others."""

import json
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import JobCancelled, JobFailed
from shared.table_params import TableScoring
from tests.worker.canonical import write
from worker import predictions
from worker.features import Category, Number
from worker.predictions import Answer


class Doubler:
    """Answers twice the sum of its numbers; a row that sums to 13 breaks it."""

    features = (Number(name="x"), Number(name="y"))
    outputs = 1

    def network(self, x: np.ndarray) -> np.ndarray:
        total = x.sum(axis=1, keepdims=True)
        return np.where(total == 13, np.nan, 2 * total)

    def answer(self, outputs: np.ndarray) -> Answer:
        return Answer({"prediction": pa.array(outputs[:, 0])}, np.array([outputs.sum(dtype=np.float64)]))

    def summarise(self, totals: np.ndarray, rows: int) -> dict[str, Any]:
        return {"sum": float(totals[0])}


def score(folder: Path, columns: dict[str, Any], asked: dict[str, Any] | None = None, **made: Any) -> dict[str, Any]:
    scorer, progress = made.pop("scorer", Doubler()), made.pop("progress", lambda done, total: None)
    paths, profile = write(folder, columns, **made)
    params = TableScoring.model_validate(asked or {})
    return predictions.score(paths, profile, scorer, params, folder=folder, progress=progress)


def rows_of(folder: Path, name: str = "predictions") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_rows_are_numbered_over_all_parts_when_there_is_no_id(tmp_path: Path) -> None:
    summary = score(tmp_path, {"x": [1.0, 2.0, 3.0], "y": [0.5, 0.5, 0.5]}, part_rows=2)

    assert rows_of(tmp_path) == [{"key": 0, "prediction": 3}, {"key": 1, "prediction": 5}, {"key": 2, "prediction": 7}]
    assert summary == {"rows": 3, "errors": 0, "sum": 15.0}


@pytest.mark.parametrize("ids", [["p1", None, "=p"], [7, 5, None]])
def test_the_id_column_is_the_key(tmp_path: Path, ids: list[Any]) -> None:
    score(tmp_path, {"piece": ids, "x": [1.0] * 3, "y": [1.0] * 3}, id="piece")

    assert [row["key"] for row in rows_of(tmp_path)] == ids


def test_columns_are_found_by_name_and_others_are_ignored(tmp_path: Path) -> None:
    class Difference(Doubler):
        def network(self, x: np.ndarray) -> np.ndarray:
            return x[:, :1] - x[:, 1:]

    score(tmp_path, {"z": ["a"], "y": [1.0], "x.y": [100.0], "x": [5.0]}, scorer=Difference())

    assert rows_of(tmp_path) == [{"key": 0, "prediction": 4}]


def test_all_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        score(tmp_path, {"z": [1.0]}, {"columns": ["z", "title"]})

    assert failed.value.code == "columns_missing"
    assert [fault.column for fault in failed.value.faults] == ["x", "y", "title"]
    assert not (tmp_path / "predictions.jsonl").exists()


def test_asked_columns_are_repeated(tmp_path: Path) -> None:
    score(tmp_path, {"x": [1.0, 2.0], "y": [1.0, None], "title": ["a", "b"]}, {"columns": ["title", "y"]})

    assert rows_of(tmp_path) == [{"key": 0, "prediction": 4, "columns": {"title": "a", "y": 1}}]


def test_a_row_that_cannot_be_scored_is_told_and_stops_no_other(tmp_path: Path) -> None:
    columns = {
        "id": list("abcdefg"),
        "x": ["1", "2", "n/a", None, "5", "6", "1e999"],
        "y": [1.0, np.inf, np.nan, 1.0, 8.0, 0.5, 1.0],
    }

    summary = score(tmp_path, columns, id="id")

    assert [row["key"] for row in rows_of(tmp_path)] == ["a", "f"]
    beyond = "expected a finite number that fits 32 bits, received an infinite number"
    assert rows_of(tmp_path, "errors") == [
        {"key": "b", "row": 1, "reason": beyond, "column": "y"},
        {"key": "c", "row": 2, "reason": "expected a number, received text of 3 characters", "column": "x"},
        {"key": "d", "row": 3, "reason": "expected a number, the cell is empty", "column": "x"},
        {"key": "e", "row": 4, "reason": predictions.NOT_FINITE, "column": None},
        {"key": "g", "row": 6, "reason": beyond, "column": "x"},
    ]
    assert (summary["rows"], summary["errors"], summary["sum"]) == (7, 5, 17.0)


def test_a_table_without_one_good_row_still_ends(tmp_path: Path) -> None:
    summary = score(tmp_path, {"x": [None, None], "y": [1.0, 1.0]})

    assert (summary["rows"], summary["errors"]) == (2, 2)
    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == 0


def test_a_table_without_rows_makes_empty_files(tmp_path: Path) -> None:
    summary = score(tmp_path, {"x": pa.array([], pa.float64()), "y": pa.array([], pa.float64())})

    assert summary == {"rows": 0, "errors": 0, "sum": 0.0}


def test_many_rows_come_in_order_whatever_the_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "BATCH_CELLS", 2 * 700)
    seen: list[tuple[int, int]] = []

    score(
        tmp_path, {"x": np.arange(2000.0), "y": [13.0] * 2000}, progress=lambda *done: seen.append(done), part_rows=900
    )

    assert seen == [(700, 2000), (900, 2000), (1600, 2000), (1800, 2000), (2000, 2000)]
    assert [row["key"] for row in rows_of(tmp_path)] == list(range(1, 2000))
    assert [row["row"] for row in rows_of(tmp_path, "errors")] == [0]
    assert pq.read_table(tmp_path / "predictions.parquet")["prediction"].to_pylist()[-1] == 2 * 2012


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    columns = {"x": np.random.default_rng(0).normal(size=70_000), "y": [1.0] * 70_000}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    for folder in ("a", "b"):
        score(tmp_path / folder, columns)

    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["errors.index", "errors.jsonl", "part-00000.parquet", "predictions.csv", "predictions.index",
                     "predictions.jsonl", "predictions.parquet"]  # fmt: skip
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_progress_that_raises_stops_the_scoring_and_its_threads(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        score(tmp_path, {"x": np.arange(200_000.0), "y": np.arange(200_000.0)}, progress=stop)

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scorer")]


def test_categories_and_numbers_may_come_in_another_type(tmp_path: Path) -> None:
    class Mixed(Doubler):
        features = (Number(name="x"), Category(name="key", words=("1", "2"), rest=True))

    score(tmp_path, {"x": ["10", "20"], "key": [2, 9]}, scorer=Mixed())

    assert [row["prediction"] for row in rows_of(tmp_path)] == [22, 42]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        folder = tmp_path / str(rows)
        folder.mkdir()
        columns = {"x": np.arange(rows) * 1.0, "y": np.arange(rows) * 1.0}
        paths, profile = write(folder, columns, part_rows=10_000)
        arrow = pa.default_memory_pool()
        before, largest = arrow.bytes_allocated(), 0

        def watch(done: int, total: int) -> None:
            nonlocal largest
            largest = max(largest, arrow.bytes_allocated() - before)

        tracemalloc.start()
        predictions.score(paths, profile, Doubler(), TableScoring(), folder=folder, progress=watch)
        numpy_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest + numpy_peak

    peak(10_000)
    # How many pieces are under way at the moment of looking is chance; eight times the rows would not be.
    assert peak(400_000) < 3 * peak(50_000)
