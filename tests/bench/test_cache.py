"""What is fetched is kept whole or not at all."""

from pathlib import Path

import pytest

from bench import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_made_once_is_not_made_again() -> None:
    made: list[Path] = []

    def make(into: Path) -> None:
        made.append(into)
        (into / "song").write_text("la")

    first, again = cache.keep("songs", make), cache.keep("songs", make)

    assert first == again and (again / "song").read_text() == "la"
    assert len(made) == 1


def test_what_broke_half_way_leaves_nothing(folder: Path) -> None:
    def make(into: Path) -> None:
        (into / "half").write_text("a song")
        raise OSError("the network is gone")

    with pytest.raises(OSError):
        cache.keep("songs", make)

    assert list(folder.iterdir()) == []


def test_who_was_overtaken_takes_what_the_other_made() -> None:
    def late(into: Path) -> None:
        cache.keep("songs", lambda other: (other / "song").write_text("theirs") and None)
        (into / "song").write_text("ours")

    kept = cache.keep("songs", late)

    assert (kept / "song").read_text() == "theirs"
