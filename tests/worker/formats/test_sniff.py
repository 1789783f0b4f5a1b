"""The leading bytes say what a file is, and its name must agree."""

from pathlib import Path

import pytest

from shared.errors import JobFailed
from tests.worker.formats import reading
from worker.formats.sniff import sniff


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.tsv", "t.txt", "my.old.parquet.csv"])
def test_text_under_a_name_for_text_is_csv(tmp_path: Path, name: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"a,b\n1,2\n")

    assert sniff(path, name) == "csv"


@pytest.mark.parametrize("header", ["ID3,a", "PAR1,PAR2", "BZh9,b", "PK,b", "RIFF-count,b", "é,b"])
def test_a_header_that_begins_like_another_format_is_still_csv(tmp_path: Path, header: str) -> None:
    source = reading.csv(tmp_path, f"{header}\n1,2\n")

    assert list(source.types) == header.split(",")


def test_a_name_of_no_format_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"a,b\n1,2\n")

    with pytest.raises(JobFailed) as refused:
        sniff(path, "model.keras")

    assert [(fault.code, fault.file) for fault in refused.value.faults] == [("unsupported_format", "model.keras")]
    assert ".parquet" in refused.value.faults[0].message
