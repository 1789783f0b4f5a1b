"""MXL and ZIP: what the directory says is checked before anything is unpacked."""

import io
import zlib
from dataclasses import replace

import pytest

from tests import hostile_archives
from tests.hostile_archives import stored
from tests.worker.symbolic import scores
from tests.worker.symbolic.scores import attributes, container, note, score, zipped
from worker.symbolic import archive, mxl
from worker.symbolic.flaws import Flaw

SCORE = score([attributes() + note("C4", 4)])
BOMB = zlib.compressobj(9, zlib.DEFLATED, -15)
ZEROS = BOMB.compress(bytes(60 * 1024 * 1024)) + BOMB.flush()


def refused(content: bytes) -> Flaw:
    with pytest.raises(Flaw) as caught:
        mxl.read(content, "m")
    return caught.value


@pytest.mark.parametrize(
    "files",
    [
        {"META-INF/container.xml": container(), "score.xml": SCORE},
        {"META-INF/container.xml": container("a/b.musicxml"), "a/b.musicxml": SCORE, "other.xml": b"<x/>"},
        {
            "META-INF/container.xml": container().replace(b"<container>", b'<container xmlns="urn:x">'),
            "score.xml": SCORE,
        },
        {"score.musicxml": SCORE, "__MACOSX/._score.musicxml": b"side", ".DS_Store": b"side"},
    ],
)
def test_the_score_is_the_one_that_the_container_names(files: dict[str, bytes]) -> None:
    assert len(mxl.read(zipped(files), "m").notes) == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 and no more", "archive_corrupt"),
        (zipped({}), "archive_corrupt"),
        (zipped({"META-INF/container.xml": container("gone.xml"), "score.xml": SCORE}), "mxl_invalid"),
        (zipped({"META-INF/container.xml": b"<container/>", "score.xml": SCORE}), "mxl_invalid"),
        (zipped({"META-INF/container.xml": b"no XML", "score.xml": SCORE}), "xml_corrupt"),
        (zipped({"a.xml": SCORE, "b.xml": SCORE}), "mxl_invalid"),
        (zipped({"picture.png": b"x"}), "mxl_invalid"),
        (scores.mxl(SCORE)[:-40], "archive_corrupt"),
    ],
)
def test_what_is_no_mxl_is_refused(content: bytes, code: str) -> None:
    assert refused(content).code == code


@pytest.mark.hostile("H21", "H22", "H23", "H24", "H25")
@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([stored("../score.xml", SCORE)], "archive_entry_name"),
        ([stored("/etc/score.xml", SCORE)], "archive_entry_name"),
        ([stored("a/../../score.xml", SCORE)], "archive_entry_name"),
        ([stored("a\\score.xml", SCORE)], "archive_entry_name"),
        ([stored("C:score.xml", SCORE)], "archive_entry_name"),
        ([stored("a\x01.xml", SCORE)], "archive_entry_name"),
        ([stored("score.xml", SCORE), stored("score.xml", SCORE)], "archive_entry_name"),
        ([replace(stored("score.xml", b"/etc/passwd"), mode=0o120777)], "archive_entry_type"),
        ([replace(stored("score.xml", SCORE), flags=1)], "archive_entry_type"),
        ([replace(stored("score.xml", SCORE), method=14)], "archive_entry_type"),
        ([replace(stored("score.xml", ZEROS), method=8, size=60 * 1024 * 1024)], "decompression_limit"),
        ([replace(stored("score.xml", ZEROS), method=8, size=100)], "archive_corrupt"),
        ([stored("score.xml", SCORE), replace(stored("b.xml", SCORE), offset=0)], "archive_overlap"),
        ([replace(stored("score.xml", SCORE), crc=1)], "archive_corrupt"),
        ([replace(stored("score.xml", SCORE), size=len(SCORE) + 9)], "archive_corrupt"),
    ],
)
def test_an_archive_that_was_made_to_harm_is_refused(entries: list[hostile_archives.Entry], code: str) -> None:
    assert refused(hostile_archives.archive(entries)).code == code


def test_more_entries_than_any_collection_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)

    with pytest.raises(Flaw, match="received 4"):
        archive.opened(io.BytesIO(zipped({f"{place}.xml": SCORE for place in range(4)})))
