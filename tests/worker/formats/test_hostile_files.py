"""Whatever comes in: the fault is named with its place, memory stays bounded, and the same process reads on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_files import CASES, Case

ROOT = Path(__file__).parents[3]
MiB = 1024 * 1024
# Of every child that any of these files had: the libraries need 75, a stream some more.
PEAK_AT_MOST = 300 * MiB
# Of those that are refused before a row is read.
EARLY_PEAK_AT_MOST = 150 * MiB
REFUSED_EARLY = [
    "parquet: 634 bytes that want gigabytes",
    "parquet: 60 million rows of one value",
    "parquet: 20,000 columns",
    "npz: a bomb of 3.2 GB in 3.1 MB",
    "npz: 10^12 elements",
    "npz: one array under 1,000 names",
    "csv: a field of 64 MB",
    "csv: two million columns",
    "csv: 50 million empty lines",
    "csv: a header and 50 million empty lines",
]


class Reader:
    """One process that reads all hostile files, one after another."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.ingesting"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def read(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    opened = Reader()
    yield opened
    opened.close()


@pytest.mark.hostile(
    "H16",
    "H17",
    "H18",
    "H19",
    "H20",
    "H21",
    "H22",
    "H24",
    "H25",
    "H26",
    "H27",
    "H28",
    "H29",
    "H30",
    "H31",
    "H32",
    "H33",
    "H34",
    "H35",
    "H36",
    "H37",
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_hostile_file_is_refused_with_its_code_and_place(case: Case, tmp_path: Path, reader: Reader) -> None:
    path, out = tmp_path / case.file, tmp_path / "out"
    out.mkdir()
    case.make(path)

    answer = reader.read({"files": [str(path)], "out_dir": str(out), "limits": case.limits})

    assert "error" in answer, answer["profile"]
    assert answer["error"]["code"] == "dataset_rejected", answer["error"]
    faults = [fault for fault in answer["error"]["errors"] if fault["code"] == case.code]
    assert faults, answer["error"]["errors"]
    assert {"file": case.file, "row": case.row, "column": case.column}.items() <= {
        "row": None,
        "column": None,
        **faults[0],
    }.items()
    assert case.says in faults[0]["message"]
    assert answer["peak_bytes"] <= PEAK_AT_MOST
    assert not (tmp_path / "unpickled").exists()
    assert set(answer["left"]) <= {"part-00000.parquet"}


@pytest.mark.parametrize("name", REFUSED_EARLY)
def test_what_can_be_refused_early_never_comes_to_memory(name: str, tmp_path: Path) -> None:
    case, fresh = CASES[name], Reader()
    case.make(tmp_path / case.file)

    answer = fresh.read({"files": [str(tmp_path / case.file)], "out_dir": str(tmp_path)})
    fresh.close()

    assert answer["error"]["code"] == "dataset_rejected"
    assert answer["peak_bytes"] <= EARLY_PEAK_AT_MOST


def test_the_process_that_read_them_reads_an_honest_file_after_each(tmp_path: Path, reader: Reader) -> None:
    broken, honest = tmp_path / "broken.csv", tmp_path / "honest.csv"
    broken.write_bytes(b"a,b\n1\n")
    honest.write_bytes(b"a,b\n1,2\n")

    refused = reader.read({"files": [str(broken)], "out_dir": str(tmp_path)})
    accepted = reader.read({"files": [str(honest)], "out_dir": str(tmp_path)})

    assert refused["error"]["code"] == "dataset_rejected"
    assert accepted["profile"]["rows"] == 1
