"""Columns that are named, held against the first line of a CSV before anything is sent."""

from pathlib import Path

import click
import pytest
from etude import header
from etude.choice import choose

# What is taken raises nothing; what is refused is in the test of hints.


@pytest.mark.parametrize(
    "content",
    [
        b"song,my genre\n",
        b"\xef\xbb\xbf\r\nsong;my genre\r\n",
        b"song\t my genre \n",
        b'song,"my genre"',
        b"song,my genre\r1,2",
    ],
)
def test_a_name_that_stands_in_the_first_line_is_taken_however_it_is_written(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)

    header.demand(choose(tmp_path / "a.csv"), {"target": ("my genre",), "group": "song", "mask": (), "id": None})


@pytest.mark.parametrize("content", [b"", b"\n\n", b'"open,genre\n', b"\xff\xfe\x00"])
def test_what_cannot_be_read_here_is_left_to_the_service(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)

    header.demand(choose(tmp_path / "a.csv"), {"target": ("genre",)})


@pytest.mark.parametrize(("role", "name"), [("target", ("gnre",)), ("file", "sung"), ("drop", ("song", "nosuch"))])
def test_a_name_that_no_file_has_is_refused_with_the_option_and_a_hint(tmp_path: Path, role: str, name: object) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("song,genre\n")

    with pytest.raises(click.BadParameter, match=r"labels\.csv has no column") as caught:
        header.demand(choose(tmp_path), {role: name})  # type: ignore[dict-item]

    assert caught.value.param_hint == f"--{role}"


def test_the_manifest_alone_counts_among_tables_of_true_notes(tmp_path: Path) -> None:
    for name, line in (("a.wav", ""), ("manifest.csv", "file,genre"), ("notes.csv", "onset,pitch")):
        (tmp_path / name).write_text(line + "x")

    header.demand(choose(tmp_path), {"file": "file"})
