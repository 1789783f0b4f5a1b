"""The same rows as Parquet, CSV and JSON Lines, and CSV that no spreadsheet runs."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker.lines import Field
from worker.prediction_files import ChunkFiles, PredictionFiles

ROWS: dict[str, Field] = {
    "key": pa.array(["a", "b"]),
    "prediction": pa.array(["rock", "pop"]).dictionary_encode(),
    "probabilities": {"rock": pa.array([0.75, 0.25], pa.float32()), "pop": pa.array([0.25, 0.75], pa.float32())},
    "columns": {"title": pa.array(["x", None]), "year": pa.array([1999, 2001])},
}
NO_ERRORS: dict[str, Field] = {name: pa.array([], pa.string()) for name in ("key", "reason")}
FORMATS = ["parquet", "csv", "jsonl"]


def write(folder: Path, *chunks: dict[str, Field], formats: list[str] = FORMATS) -> None:
    def part(field: Field) -> Field:
        return {n: a.slice(0, 0) for n, a in field.items()} if isinstance(field, dict) else field.slice(0, 0)

    empty = {name: part(field) for name, field in chunks[0].items()}
    with PredictionFiles(folder, formats, empty) as files:
        for place, chunk in enumerate(chunks):
            with ChunkFiles(folder / f"chunk-{place}", formats, empty) as out:
                out.write(chunk, NO_ERRORS)
                archive = out.pack()
            files.append(archive)
            archive.unlink()


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_formats_hold_the_same_rows(tmp_path: Path) -> None:
    write(tmp_path, ROWS, ROWS)

    table = pq.read_table(tmp_path / "predictions.parquet")
    said = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert table.schema.names == [
        "key",
        "prediction",
        "probability.rock",
        "probability.pop",
        "column.title",
        "column.year",
    ]
    assert table.schema.field("prediction").type == pa.string()
    assert table.schema.field("probability.rock").type == pa.float32()
    assert table.to_pylist()[3] == {
        "key": "b", "prediction": "pop", "probability.rock": 0.25, "probability.pop": 0.75,
        "column.title": None, "column.year": 2001,
    }  # fmt: skip
    assert said[3] == {
        "key": "b", "prediction": "pop", "probabilities": {"rock": 0.25, "pop": 0.75},
        "columns": {"title": None, "year": 2001},
    }  # fmt: skip
    assert read_csv(tmp_path)[3] == {
        "key": "b", "prediction": "pop", "probability.rock": "0.25", "probability.pop": "0.75",
        "column.title": "", "column.year": "2001",
    }  # fmt: skip


def test_only_the_wanted_formats_are_written(tmp_path: Path) -> None:
    write(tmp_path, ROWS, formats=["parquet"])

    assert {path.name for path in tmp_path.iterdir()} == {"predictions.parquet", "errors.jsonl", "errors.index"}


def test_several_labels_are_a_list_in_parquet_and_joined_in_csv(tmp_path: Path) -> None:
    write(tmp_path, {"key": pa.array([0, 1]), "prediction": pa.array([["rock", "live"], []], pa.list_(pa.string()))})

    assert pq.read_table(tmp_path / "predictions.parquet")["prediction"].to_pylist() == [["rock", "live"], []]
    assert [row["prediction"] for row in read_csv(tmp_path)] == ["rock|live", ""]


@pytest.mark.hostile("H38")
def test_texts_that_begin_a_formula_are_defused_in_csv_alone(tmp_path: Path) -> None:
    keys = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "x=1", ""]
    rows: dict[str, Field] = {
        "key": pa.array(keys),
        "prediction": pa.array(["=label"] * 8).dictionary_encode(),
        "columns": {"=cmd": pa.array([-1.5] * 8)},
    }

    write(tmp_path, rows)

    read = read_csv(tmp_path)
    assert [row["key"] for row in read] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", "x=1", ""]
    assert {row["prediction"] for row in read} == {"'=label"}
    assert {row["column.=cmd"] for row in read} == {"-1.5"}
    assert pq.read_table(tmp_path / "predictions.parquet")["key"].to_pylist() == keys


def test_no_rows_still_make_whole_files(tmp_path: Path) -> None:
    write(tmp_path, {"key": pa.array([], pa.int64()), "prediction": pa.array([], pa.float64())})

    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == 0
    assert (tmp_path / "predictions.csv").read_text() == '"key","prediction"\n'
    assert (tmp_path / "predictions.jsonl").read_bytes() == b""
