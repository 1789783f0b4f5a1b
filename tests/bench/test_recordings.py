"""Recordings are found once each, are those that figures were measured with, or a sentence says what is missing."""

import hashlib
from pathlib import Path

import pytest

from bench import cache, recordings
from bench.measurement import MeasurementBroken
from bench.recordings import SOUNDTRACKS, Package


def test_a_track_that_several_folders_link_to_is_found_once(tmp_path: Path) -> None:
    music = tmp_path / "audio"
    music.mkdir()
    for name in ("b.ogg", "a.opus", "cover.jpg"):
        (music / name).write_text(name)
    (tmp_path / "de").symlink_to(music)
    (tmp_path / "c.ogg").symlink_to(music / "b.ogg")

    found = recordings.tracks(tmp_path)

    assert found == [music / "a.opus", music / "b.ogg"]


def test_another_package_of_the_same_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "music.deb"
    file.write_bytes(b"music")
    right = Package("music", "1", hashlib.sha256(b"music").hexdigest())
    recordings.check(file, right)

    file.write_bytes(b"other music")

    with pytest.raises(MeasurementBroken, match="expected music 1 with SHA-256"):
        recordings.check(file, right)


def test_without_apt_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(MeasurementBroken, match=r"expected apt-get to fetch drascula-music.*Debian 12.*CACHE"):
        recordings.soundtrack("drascula-music")

    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_cache_needs_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")
    kept = tmp_path / f"drascula-music-{SOUNDTRACKS[0].sha256[:12]}"
    kept.mkdir()
    (kept / "track1.ogg").touch()

    assert recordings.soundtrack("drascula-music") == [kept / "track1.ogg"]
