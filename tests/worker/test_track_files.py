"""The files of single tracks: an archive that any tool opens, and a list that says where each lies in it."""

import json
import zipfile
from pathlib import Path

import pytest

from worker.track_files import TrackFile, TrackFiles


def write(folder: Path, files: list[tuple[int, str, TrackFile]]) -> list[dict[str, object]]:
    folder.mkdir(exist_ok=True)
    with TrackFiles(folder) as made:
        for row, key, file in files:
            made.add(row, key, [file])
    return [json.loads(line) for line in (folder / "files.jsonl").read_text().splitlines()]


def test_each_file_lies_where_the_list_says_and_where_the_archive_says(tmp_path: Path) -> None:
    contents = [b"first", b"", "Gr\u00fc\u00dfe".encode() * 1000]
    files = [
        (place, f"song {place}.wav", TrackFile("notes.mid", "audio/midi", content))
        for place, content in enumerate(contents)
    ]

    listed = write(tmp_path / "a", files)

    raw = (tmp_path / "a" / "files.zip").read_bytes()
    assert [raw[each["offset"] : each["offset"] + each["size_bytes"]] for each in listed] == contents
    with zipfile.ZipFile(tmp_path / "a" / "files.zip") as archive:
        assert archive.testzip() is None
        assert [archive.read(each["name"]) for each in listed] == contents
    assert [each["number"] for each in listed] == [0, 1, 2]


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    files = [(0, "a", TrackFile("tags.csv", "text/csv", b"x"))]

    write(tmp_path / "a", files)
    write(tmp_path / "b", files)

    for name in ("files.zip", "files.jsonl", "files.index"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("key", ["../../etc/passwd", "C:\\x", "a/b/c.wav", "\u6b4c.mp3", "x" * 500, ".."])
def test_a_name_leads_nowhere_whatever_the_key(tmp_path: Path, key: str) -> None:
    (listed,) = write(tmp_path / "a", [(7, key, TrackFile("notes.csv", "text/csv", b"x"))])

    name = str(listed["name"])
    assert name.startswith("000007-") and name.endswith(".notes.csv")
    assert "/" not in name and "\\" not in name and name.isascii() and len(name) < 110
    assert listed["key"] == key


def test_without_files_both_are_empty_and_whole(tmp_path: Path) -> None:
    assert write(tmp_path / "a", []) == []
    with zipfile.ZipFile(tmp_path / "a" / "files.zip") as archive:
        assert archive.namelist() == []
    assert len((tmp_path / "a" / "files.index").read_bytes()) == 8
