"""Uploads through the real child: CSV and Parquet come to the same text; what cannot be read is told by its place."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import sandbox
from shared.errors import JobFailed
from tests.worker.interactions.uploading import parquet
from worker.formats.limits import Limits
from worker.ingest import UploadedFile
from worker.interactions import reading
from worker.interactions.reading import Decoded


def uploaded(folder: Path, files: Mapping[str, bytes]) -> list[UploadedFile]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [UploadedFile(name, folder / name) for name in files]


def decode(folder: Path, files: Mapping[str, bytes], *, limits: Limits | None = None, **columns: Any) -> Decoded:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    given = {} if limits is None else {"limits": limits}
    return reading.decode_interactions(uploaded(folder, files), columns, out, lambda done, total: None, **given)


def items(folder: Path, files: Mapping[str, bytes], *, item: str | None = None) -> Decoded:
    return reading.decode_items(uploaded(folder, files), item, "who", folder, lambda done, total: None)


def refusal(folder: Path, files: Mapping[str, bytes], **columns: Any) -> list[Any]:
    with pytest.raises(JobFailed) as failed:
        decode(folder, files, **columns)
    assert failed.value.code == "dataset_rejected"
    return [(fault.code, fault.file, fault.row) for fault in failed.value.faults]


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    decoded = decode(tmp_path, {"a.csv": b"user,item,plays\n007,7,1.50\n7,1e3,x\n"})

    assert pq.read_table(decoded.path).to_pydict() == {
        "user": ["007", "7"], "item": ["7", "1e3"], "plays": ["1.50", "x"]
    }  # fmt: skip
    assert decoded.files == [("a.csv", 2)]


def test_ids_are_numbers_in_one_file_and_text_in_another(tmp_path: Path) -> None:
    whole = parquet({"user": [7, 8], "item": np.array([1.0, 2.5]), "plays": [1, 2]})
    gaps = parquet({"user": pa.array([7.0, None]), "item": ["1", "x"], "plays": [np.nan, np.inf]})

    decoded = decode(tmp_path, {"c.csv": b"plays,item,user\n3,1,7\n", "a.parquet": whole, "b.parquet": gaps})

    assert pq.read_table(decoded.path).to_pydict() == {
        "user": ["7", "8", "7", None, "7"], "item": ["1", "2.5", "1", "x", "1"],
        "plays": ["1", "2", None, "inf", "3"],
    }  # fmt: skip
    assert decoded.files == [("a.parquet", 2), ("b.parquet", 2), ("c.csv", 1)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([7, 2**40], pa.int64()), pa.array([7, 2**40], pa.uint64()), pa.array([7.0, 2.0**40], pa.float64()),
        pa.array(["7", str(2**40)], pa.large_string()), pa.array(["7", str(2**40)]).dictionary_encode(),
    ],
)  # fmt: skip
def test_whole_numbers_are_their_digits_however_they_are_stored(tmp_path: Path, values: pa.Array) -> None:
    decoded = decode(tmp_path, {"a.parquet": parquet({"user": values, "item": ["x", "y"]})})

    assert pq.read_table(decoded.path).column("user").to_pylist() == ["7", str(2**40)]


def test_moments_of_parquet_are_text_in_utc(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 1, 12, tzinfo=UTC)
    times = pa.array([moment], pa.timestamp("ms", tz="Europe/Berlin"))

    decoded = decode(tmp_path, {"a.parquet": parquet({"user": ["a"], "item": ["x"], "time": times})})

    assert pq.read_table(decoded.path).column("time").to_pylist() == ["2024-01-01T12:00:00.000Z"]


def test_columns_without_a_role_are_dropped(tmp_path: Path) -> None:
    decoded = decode(tmp_path, {"a.csv": b"who,item,noise,n\na,x,1,2\n"}, user="who", weight="n")

    assert pq.read_schema(decoded.path).names == ["who", "item", "n"]
    assert decoded.said["roles"] == {"user": "who", "item": "item", "weight": "n", "time": None, "context": None}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.csv": b"user,item\na,x\n", "b.csv": b"user,item\na,x\nb\n"}, [("csv_shape", "b.csv", 1)]),
        ({"a.csv": b"user,item\na,x\n", "b.csv": b"user,song\na,x\n"}, [("columns_differ", "b.csv", None)]),
        ({"a.csv": b"user\na\n"}, [("column_missing", None, None)]),
        ({"a.csv": b"user,item\n"}, [("dataset_empty", "a.csv", None)]),
        ({"a.csv": b""}, [("dataset_empty", "a.csv", None)]),
        ({"a.csv": b"user,item\n\xff,x\n"}, [("csv_encoding", "a.csv", None)]),
        ({"a.csv": b"user,user\na,x\n"}, [("duplicate_column", "a.csv", None)]),
        ({"a.parquet": b"PAR1\0\1\2\3PAR1"}, [("parquet_corrupt", "a.parquet", None)]),
        ({"a.csv": b"PAR1\0\0\0\0"}, [("unsupported_format", "a.csv", None)]),
        ({"a.xlsx": b"PK\3\4"}, [("unsupported_format", "a.xlsx", None)]),
        ({"a.csv": b"\x80\x04\x95", "b.csv": b"user,item\na,x\n"}, [("pickle_refused", "a.csv", None)]),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place(tmp_path: Path, files: dict[str, bytes], expected: list[Any]) -> None:
    assert refusal(tmp_path, files) == expected


def test_lists_in_a_column_are_refused(tmp_path: Path) -> None:
    content = parquet({"user": ["a"], "item": ["x"], "tags": [["rock"]]})

    assert refusal(tmp_path, {"a.parquet": content}) == [("schema_not_flat", "a.parquet", None)]


def test_arrays_of_numpy_are_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    np.savez(sink, user=["a"], item=["x"])

    assert refusal(tmp_path, {"a.npz": sink.getvalue()}) == [("unsupported_format", "a.npz", None)]


def test_a_role_that_no_column_has_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"a.csv": b"user,item\na,x\n"}, user="usr") == [("column_missing", None, None)]


def test_more_rows_than_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        decode(tmp_path, {"a.csv": b"user,item\na,x\nb,x\n"}, limits=Limits(rows=1))

    assert failed.value.faults[0].code == "table_too_large"


def test_of_an_item_table_only_the_key_stays_as_it_is_written(tmp_path: Path) -> None:
    decoded = items(tmp_path, {"items.csv": b"artist,id,year,live,price\nA,007,1999,true,1.50\nB,8,2000,false,\n"})

    assert decoded.said["key"] == "id"
    assert pq.read_table(decoded.path).to_pydict() == {
        "artist": ["A", "B"], "id": ["007", "8"], "year": [1999, 2000], "live": [True, False], "price": [1.5, None]
    }  # fmt: skip


def test_the_key_of_an_item_table_is_called_as_in_the_interactions(tmp_path: Path) -> None:
    decoded = items(tmp_path, {"items.csv": b"id,song\n1,2\n"}, item="song")

    assert decoded.said["key"] == "song"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("items.csv", True), ("Items-2024.parquet", True), ("a/ITEMS.csv", True), ("items/a.csv", False),
     ("plays.csv", False), ("my-items.csv", False)],
)  # fmt: skip
def test_item_files_are_known_by_their_names(name: str, *, expected: bool) -> None:
    assert reading.is_item_file(name) is expected


LIES = {
    "nothing": {},
    "another's rows": {"files": [{"name": "b.csv", "rows": 1}]},
    "more rows": {"files": [{"name": "a.csv", "rows": 2}]},
    "a column that is not there": {"roles": {"user": "user", "item": "ghost"}},
    "one column twice": {"roles": {"user": "user", "item": "user"}},
    "numbers": {"roles": {"user": "user", "item": "number"}},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    def run(module: str, request: Any, **_: Any) -> Any:
        if lie != "nothing":
            pq.write_table(pa.table({"user": ["a"], "item": ["x"], "number": [1]}), request["out"])
        honest = {"files": [{"name": "a.csv", "rows": 1}], "roles": {"user": "user", "item": "item"}}
        return {**honest, **LIES[lie]}

    monkeypatch.setattr(sandbox, "run", run)

    with pytest.raises(JobFailed) as failed:
        decode(tmp_path, {"a.csv": b""})

    assert failed.value.code == "decoder_crashed"


def test_a_link_in_place_of_the_table_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"user": ["a"], "item": ["x"]}), tmp_path / "elsewhere")

    def run(module: str, request: Any, **_: Any) -> Any:
        Path(request["out"]).symlink_to(tmp_path / "elsewhere")
        return {"files": [{"name": "a.csv", "rows": 1}], "roles": {"user": "user", "item": "item"}}

    monkeypatch.setattr(sandbox, "run", run)

    with pytest.raises(JobFailed):
        decode(tmp_path, {"a.csv": b""})
