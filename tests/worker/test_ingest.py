"""Ingest, end to end in its confined child: files in, one canonical table and its profile out."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from shared.confinement import Bounds
from shared.errors import JobCancelled, JobFailed, TryAgain
from worker import ingest
from worker.formats.limits import Limits

ROOT = Path(__file__).parents[2]
MiB = 1024 * 1024


def run(
    folder: Path,
    *names: str,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    limits: Limits = Limits(),  # noqa: B008
    **columns: Any,
) -> ingest.Ingested:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    files = [ingest.UploadedFile(name, folder / name) for name in names]
    bounds = Bounds(wall_s=60.0)
    return ingest.run(files, columns=columns, out_dir=out, progress=progress, limits=limits, bounds=bounds)


def refusal(folder: Path, *names: str, **rest: Any) -> JobFailed:
    with pytest.raises(JobFailed) as failed:
        run(folder, *names, **rest)
    assert failed.value.code == "dataset_rejected"
    return failed.value


def measured(request: dict[str, Any]) -> dict[str, Any]:
    """Ingest in a process of its own, whose child's peak memory can be told."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.worker.ingesting"],
        cwd=ROOT,
        input=json.dumps(request).encode(),
        capture_output=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_each_format_becomes_the_same_table(tmp_path: Path, suffix: str) -> None:
    tempo, genre, bars = [1.5, 2.5, 3.5], ["rock", "pop", "rock"], [4, 8, 4]
    table = pa.table({"tempo": tempo, "genre": genre, "bars": bars})
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        arrow_csv.write_csv(table, path)
    elif suffix == "parquet":
        pq.write_table(table, path)
    else:
        np.savez(path, tempo=tempo, genre=genre, bars=bars)

    ingested = run(tmp_path, path.name)

    assert pq.read_table(ingested.paths[0]).equals(table)
    assert ingested.profile["rows"] == 3
    assert ingested.profile["classes"] == {"rock": 2, "pop": 1}
    assert ingested.profile["roles"]["target"] == ["genre"]


def test_files_are_joined_in_the_order_of_their_names_whatever_the_order_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"y,x\n30,3\n40,4\n")
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,10\n2,20\n")
    pq.write_table(pa.table({"y": [50.5], "x": [5]}), tmp_path / "c.parquet")

    ingested = run(tmp_path, "c.parquet", "b.csv", "a.csv")

    read = pq.read_table(ingested.paths[0])
    assert read["x"].to_pylist() == [1, 2, 3, 4, 5]
    assert read["y"].to_pylist() == [10.0, 20.0, 30.0, 40.0, 50.5]
    assert read.schema.types == [pa.int64(), pa.float64()]


def test_a_word_in_one_file_keeps_the_numbers_of_the_others_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,z\n1.50,\n0x1,\n")
    (tmp_path / "b.csv").write_bytes(b"x,z\n1.50,\n2,true\n")

    ingested = run(tmp_path, "a.csv", "b.csv")

    read = pq.read_table(ingested.paths[0])
    assert read["x"].to_pylist() == ["1.50", "0x1", "1.50", "2"]
    assert read["z"].to_pylist() == [None, None, None, True]


def test_files_that_do_not_share_their_columns_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"x,z\n1,2\n")
    (tmp_path / "c.csv").write_bytes(b"x\n1\n")

    faults = refusal(tmp_path, "a.csv", "b.csv", "c.csv").faults

    assert [(fault.file, fault.code) for fault in faults] == [("b.csv", "columns_differ"), ("c.csv", "columns_differ")]
    assert "missing: ['y']" in faults[0].message and "not there: ['z']" in faults[0].message


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,inf\n2\n")
    (tmp_path / "b.csv").write_bytes(b"")
    (tmp_path / "c.pkl").write_bytes(b"\x80\x04")
    pq.write_table(pa.table({"x": [[1]], "y": [1.0]}), tmp_path / "d.parquet")

    failed = refusal(tmp_path, "a.csv", "b.csv", "c.pkl", "d.parquet")

    assert [(fault.file, fault.code, fault.row, fault.column) for fault in failed.faults] == [
        ("a.csv", "csv_shape", 1, None),
        ("a.csv", "value_not_finite", 0, "y"),
        ("b.csv", "dataset_empty", None, None),
        ("c.pkl", "unsupported_format", None, None),
        ("d.parquet", "schema_not_flat", None, "x"),
    ]
    assert failed.faults_total == 5
    assert failed.detail.startswith("a.csv: expected 2 cells, received 1 (and 4 more faults)")


def test_faults_found_while_converting_are_told_for_every_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0, float("inf")]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [float("inf")] * 150}), tmp_path / "b.parquet")

    failed = refusal(tmp_path, "a.parquet", "b.parquet")

    assert [(fault.file, fault.row) for fault in failed.faults[:2]] == [("a.parquet", 1), ("b.parquet", 0)]
    assert (len(failed.faults), failed.faults_total) == (100, 151)


def test_a_named_column_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"tempo,genre\n1,rock\n")

    faults = refusal(tmp_path, "t.csv", target="gendre", drop=["loudness"]).faults

    assert [(fault.pointer, fault.column) for fault in faults] == [
        ("/columns/target", "gendre"),
        ("/columns/drop", "loudness"),
    ]
    assert "did you mean 'genre'?" in faults[0].message


def test_dropped_columns_are_nowhere_and_masked_ones_stay_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"name,tempo,composer,genre\nElvira,1,Mozart,classical\nRoy,2,Bach,classical\n")

    ingested = run(tmp_path, "t.csv", target="genre", drop=["name"], mask=["composer"])

    assert pq.read_schema(ingested.paths[0]).names == ["tempo", "composer", "genre"]
    assert ingested.profile["roles"]["mask"] == ["composer"]
    assert "Elvira" not in json.dumps(ingested.profile)
    assert b"Elvira" not in ingested.paths[0].read_bytes()


def test_files_together_keep_within_the_limit_of_rows(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(b"x\n1\n2\n3\n")

    faults = refusal(tmp_path, "a.csv", "b.csv", limits=Limits(rows=5)).faults

    assert [fault.code for fault in faults] == ["table_too_large"]


def test_a_dataset_without_files_is_refused(tmp_path: Path) -> None:
    assert "no files" in refusal(tmp_path).detail


def test_progress_counts_rows_while_they_are_read_and_while_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n" + b"1,2\n" * 200_000)
    seen: list[tuple[int, int | None]] = []

    run(tmp_path, "t.csv", progress=lambda done, total: seen.append((done, total)))

    assert seen[-1] == (200_000, 200_000)
    assert (65_536, 200_000) in seen
    assert (200_000, None) in seen


def test_a_cancelled_ingest_stops_and_the_next_one_works(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")

    def leave(done: int, total: int | None) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        run(tmp_path, "t.csv", progress=leave)

    assert run(tmp_path, "t.csv").profile["rows"] == 1


def test_a_full_disk_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ingest.PART).symlink_to("/dev/full")

    with pytest.raises(TryAgain) as again:
        run(tmp_path, "t.csv")

    assert again.value.code == "disk_full"


def test_a_table_that_needs_more_memory_than_a_decoder_has_fails_with_that_reason(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": np.random.default_rng(0).normal(size=2_000_000)}), tmp_path / "t.parquet")
    answer = measured(
        {
            "files": [str(tmp_path / "t.parquet")],
            "out_dir": str(tmp_path),
            # Less than the libraries map before the first row, whatever their version.
            "bounds": {"address_bytes": 300 * MiB},
        }
    )

    assert answer["error"]["code"] == "decoder_memory"


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_memory_is_bounded_whatever_the_number_of_rows(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / f"t.{suffix}", tmp_path / "out"
    out.mkdir()
    block = np.random.default_rng(0).normal(size=(65_536, 64))
    if suffix == "csv":
        text = "\n".join(",".join(f"{value:.16f}" for value in row) for row in block[:1000]) + "\n"
        with path.open("w") as file:
            file.write(",".join(f"c{place}" for place in range(64)) + "\n")
            for _ in range(1 + 300 * MiB // len(text)):
                file.write(text)
    elif suffix == "parquet":
        table = pa.table({f"c{place}": block[:, place] for place in range(64)})
        pq.write_table(pa.concat_tables([table] * 10), path, row_group_size=655_360, use_dictionary=False)
    else:
        np.savez(path, X=np.asfortranarray(np.concatenate([block] * 10)))
    assert path.stat().st_size >= 300 * MiB

    answer = measured({"files": [str(path)], "out_dir": str(out)})

    assert answer["profile"]["rows"] > 200_000
    assert answer["peak_bytes"] < 400 * MiB
    assert answer["left"] == [ingest.PART]
