"""An archive of a job's files: what is written, and the names that are not."""

import io
import stat
import zipfile
from pathlib import Path

import pytest
from etude import EtudeError
from etude.archive import unpack


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data, compression)
    return content


def test_every_file_is_written_as_it_is_and_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("old")

    written = unpack(packed(("000000-a.notes.mid", b"MThd"), ("b.csv", b"new")), tmp_path)

    assert [path.name for path in written] == ["000000-a.notes.mid", "b.csv"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "000000-a.notes.mid": b"MThd", "b.csv": b"new",
    }  # fmt: skip
    assert stat.S_IMODE(written[0].stat().st_mode) & 0o600 == 0o600


@pytest.mark.parametrize(
    "name",
    ["../a.mid", "/a.mid", "deep/a.mid", "..\\a.mid", "C:a.mid", ".", "..", ".bashrc", "a\x1b[2J.mid", "a.mid.",
     "\u202edim.a", "a" * 256],
)  # fmt: skip
def test_a_name_that_is_not_plain_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"

    with pytest.raises(EtudeError, match="not written anywhere"):
        unpack(packed(("good.mid", b"x"), (name, b"x")), inside)

    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EtudeError, match="not written anywhere"):
        unpack(packed(("a.mid", b"x"), ("A.mid", b"y")), tmp_path)


def test_a_link_in_the_archive_becomes_a_plain_file_and_one_in_the_folder_is_replaced(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("untouched")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mid").symlink_to(outside)
    link = zipfile.ZipInfo("b.mid")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16

    unpack(packed(("a.mid", b"new"), (link, b"../outside.txt")), tmp_path / "in")

    assert outside.read_text() == "untouched"
    assert not any(path.is_symlink() for path in (tmp_path / "in").iterdir())
    assert (tmp_path / "in" / "b.mid").read_bytes() == b"../outside.txt"


def test_compressed_files_are_refused_for_they_may_be_of_any_size(tmp_path: Path) -> None:
    bomb = packed(("a.mid", bytes(10_000_000)), compression=zipfile.ZIP_DEFLATED)

    with pytest.raises(EtudeError, match="stored"):
        unpack(bomb, tmp_path)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(EtudeError, match="cannot be read"):
        unpack(io.BytesIO(b"<html>"), tmp_path)
