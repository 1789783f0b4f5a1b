"""Which files of a folder are sent, and under which names."""

import os
from pathlib import Path

import pytest
from etude import EtudeError
from etude.choice import choose


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names(*paths: Path, **more: str) -> list[str]:
    return [source.name for source in choose(list(paths), **more).sources]  # type: ignore[arg-type]


def test_a_folder_is_walked_in_order_and_names_begin_inside_it(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp3", "rock/two words.ogg", "rock/deep/A.WAV", "manifest.csv", "notes/a.mid")

    chosen = choose(tmp_path)

    assert [source.name for source in chosen.sources] == [
        "b.mp3", "manifest.csv", "notes/a.mid", "rock/deep/A.WAV", "rock/two words.ogg",
    ]  # fmt: skip
    assert (chosen.format, chosen.name, chosen.has_manifest, chosen.left_out) == ("audio", tmp_path.name, True, ())


def test_what_is_no_part_of_a_dataset_is_left_out_with_its_reason(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp3", "cover.jpg", "readme.txt", ".DS_Store", "._a.mp3", ".git/config.wav")
    (tmp_path / "nothing.mp3").touch()

    chosen = choose(tmp_path)

    assert [source.name for source in chosen.sources] == ["a.mp3"]
    reasons = {Path(name).name: reason for name, reason in chosen.left_out}
    assert reasons == {
        "cover.jpg": "neither a recording nor a manifest", "readme.txt": "neither a recording nor a manifest",
        ".DS_Store": "hidden", "._a.mp3": "hidden", ".git": "hidden", "nothing.mp3": "empty",
    }  # fmt: skip


def test_a_link_that_leaves_the_folder_is_not_followed_and_one_inside_is(tmp_path: Path) -> None:
    touch(tmp_path, "secret.wav", "outside/more.wav", "songs/a.wav")
    songs = tmp_path / "songs"
    (songs / "out.wav").symlink_to(tmp_path / "secret.wav")
    (songs / "in.wav").symlink_to("a.wav")
    (songs / "round").symlink_to(songs)
    (songs / "away").symlink_to(tmp_path / "outside")

    chosen = choose(songs)

    assert [source.name for source in chosen.sources] == ["a.wav", "in.wav"]
    assert dict(chosen.left_out) == {str(songs / "out.wav"): "a link out of the folder"}


def test_of_several_folders_each_name_stands_before_its_files(tmp_path: Path) -> None:
    touch(tmp_path, "rock/a.wav", "pop/a.wav", "labels.csv")

    assert names(tmp_path / "rock", tmp_path / "pop", tmp_path / "labels.csv") == [
        "labels.csv",
        "pop/a.wav",
        "rock/a.wav",
    ]


def test_a_recording_or_a_folder_is_audio_and_all_else_a_table_unless_it_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.opus", "songs.csv", "more.parquet")

    assert choose([tmp_path / "a.opus", tmp_path / "songs.csv"]).format == "audio"
    assert choose(tmp_path / "songs.csv").format == "table"
    assert choose(tmp_path / "songs.csv", format="audio").format == "audio"
    assert names(tmp_path, format="table") == ["more.parquet", "songs.csv"]


def test_a_folder_of_scores_is_symbolic_unless_there_is_a_recording_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "old/a.mid", "b.MXL", "c.musicxml", "labels.csv", "more.zip", "grids.npz")

    chosen = choose(tmp_path)

    assert (chosen.format, [source.name for source in chosen.sources]) == (
        "symbolic",
        ["b.MXL", "c.musicxml", "old/a.mid"],
    )
    assert {reason for _, reason in chosen.left_out} == {"no score"}
    assert names(tmp_path, format="symbolic") == ["b.MXL", "c.musicxml", "grids.npz", "more.zip", "old/a.mid"]
    assert choose([tmp_path / "old" / "a.mid", tmp_path / "c.musicxml"]).format == "symbolic"
    assert choose(tmp_path / "more.zip", format="symbolic").format == "symbolic"
    assert choose(tmp_path / "grids.npz").format == "table"
    touch(tmp_path, "old/heard.wav")
    assert choose(tmp_path).format == "audio"


def test_a_file_that_is_named_is_sent_whatever_it_is(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", ".hidden.jpg")

    assert names(tmp_path / "a.wav", tmp_path / ".hidden.jpg") == [".hidden.jpg", "a.wav"]


def test_letters_and_their_accents_become_one(tmp_path: Path) -> None:
    touch(tmp_path, "Cafe\u0301.mp3")

    assert names(tmp_path) == ["Caf\u00e9.mp3"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["one/a.wav", "two/a.wav"], "2 files would be called a.wav"),
        (["nowhere"], "not a file or a folder"),
        (["pictures"], "nothing to send"),
        (["tables"], "--table"),
        (["pieces.zip"], "--scores"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(tmp_path: Path, given: list[str], told: str) -> None:
    touch(tmp_path, "one/a.wav", "two/a.wav", "pictures/cover.jpg", "tables/songs.csv", "pieces.zip")

    with pytest.raises(EtudeError, match=told):
        choose([tmp_path / name for name in given])


def test_a_name_that_is_no_text_is_said(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")).write_bytes(b"x")

    with pytest.raises(EtudeError, match="rename"):
        choose(tmp_path)
