"""Many files at once through a real service: every byte counted once, and a file that fails named."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client, EtudeError, Refused
from etude.choice import Source, choose
from etude.sending import blocks


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


def test_all_files_arrive_under_their_names_and_every_byte_is_counted_once(client: Client, recordings: Path) -> None:
    chosen = choose(recordings)
    total = sum(source.size_bytes for source in chosen.sources)
    seen: list[tuple[int, int]] = []
    threads: set[int] = set()

    def told(done: int, of: int) -> None:
        threads.add(threading.get_ident())
        seen.append((done, of))

    dataset = client.upload(chosen, name="counted", progress=told)

    assert seen[-1] == (total, total)
    assert seen == sorted(seen)
    assert len(threads) > 1
    assert {track["file"] for track in client.tracks(dataset)} == {
        source.name for source in chosen.sources if source.name != "manifest.csv"
    }


def test_a_file_that_is_refused_says_which_it_is(client: Client, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.wav").write_bytes(b"x" * 1000)
    (tmp_path / "3.wav").rename(tmp_path / "a\\b.wav")

    with pytest.raises(Refused, match=r"^a\\b\.wav: ") as caught:
        client.upload(tmp_path)

    assert caught.value.status == 422
    assert caught.value.code == "file_name_invalid"


def test_a_file_that_cannot_be_read_is_said_at_once_and_not_tried_again(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x" * 1000)
    chosen = choose(tmp_path)
    (tmp_path / "a.wav").unlink()

    with pytest.raises(EtudeError, match=r"a\.wav cannot be read: No such file"):
        client.upload(chosen)


@pytest.mark.parametrize("size", [10, 1000])
def test_a_file_that_changes_while_it_is_sent_is_said(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 100)

    with pytest.raises(EtudeError, match="changes while"):
        list(blocks(Source("a.wav", path, size), lambda done: None))
