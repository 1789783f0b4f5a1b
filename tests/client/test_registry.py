"""The registry on the command line: from two trainings to a rollback, a comparison, a card, a checked archive."""

import zipfile
from pathlib import Path

import pytest
from etude import EtudeError, signed

from tests.client.conftest import Shell


def rewritten(archive: Path, path: Path, **changed: bytes | None) -> Path:
    """The archive with some files changed, added, or (None) left out; a dot in a name is written as __."""
    changes = {name.replace("__", "."): content for name, content in changed.items()}
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as made:
        kept = {name: source.read(name) for name in source.namelist()}
        for name, content in {**kept, **changes}.items():
            if content is not None:
                made.writestr(name, content)
    return path


def test_versions_are_compared_moved_rolled_back_and_kept(shell: Shell, songs: Path) -> None:
    few = ("--param", "epochs=3", "--param", "baselines=false", "--watch")
    for seed in (1, 2):
        ran = shell.run("train", str(songs), "--target", "genre", "--model", "reg", "--param", f"seed={seed}", *few)
        assert ran.code == 0, ran.err
    assert shell.run("alias", "reg", "champion", "1").code == 0
    moved = shell.run("alias", "reg", "champion", "2", "--expect", "1", "--reason", "for the night")
    late = shell.run("alias", "reg", "champion", "1", "--expect", "1", "--json")
    gated = shell.run("alias", "reg", "champion", "1", "--require", "accuracy,at_least=2,min_rows=1000")
    back = shell.run("rollback", "reg", "champion")
    moves, listed = shell.run("aliases", "reg", "champion"), shell.run("aliases", "reg")
    compared = shell.run("compare", "reg", "1", "2")

    assert "reg@champion is now version 2" in moved.out
    assert (late.code, "alias_moved" in late.err) == (2, True)
    assert gated.code == 2 and "at least 2 is required" in gated.err and "at least 1,000 are required" in gated.err
    assert "version 1 again, and was 2" in back.out
    assert "for the night" in moves.out and "rolled back" in moves.out and "champion" in listed.out
    for told in ("accuracy", "seed", "reg@1 (champion)", "different rows"):
        assert told in compared.out, compared.out


def test_a_card_is_printed_and_saved_and_an_archive_is_checked(shell: Shell, songs: Path) -> None:
    few = ("--param", "epochs=3", "--param", "baselines=false", "--watch")
    assert shell.run("train", str(songs), "--target", "genre", "--model", "kept", *few).code == 0
    described = shell.run("describe", "kept", "--intended-use", "sorting an archive", "--licence", "CC0-1.0")
    printed = shell.run("card", "kept@1", "--html", "out/card.html")
    text = shell.run("card", "kept")
    saved = shell.run("download", "kept", "-o", "kept.zip")
    checked = shell.run("verify", "kept.zip")
    archive = shell.folder / "kept.zip"
    forged = rewritten(archive, shell.folder / "forged.zip", manifest__sig=b"0" * 64)

    assert described.code == 0, described.err
    assert "sorting an archive" in text.out and "accuracy" in text.out
    assert (printed.code, "<svg" in (shell.folder / "out" / "card.html").read_text()) == (0, True)
    assert (saved.code, checked.code) == (0, 0), checked.err
    assert "signed by this service" in checked.out
    assert shell.run("verify", str(forged)).code == 2
    for wrong, told in (
        ({"card__md": b"better than it is"}, "card.md was changed"),
        ({"card__md": None}, "card.md is missing"),
        ({"extra__py": b"import os"}, "extra.py is not in the manifest"),
        ({"manifest__sig": None}, "no readable manifest.sig"),
        ({"manifest__json": b"[]"}, "no manifest"),
        ({"manifest__sig": b"x" * 100}, "more than 80 bytes"),
    ):
        with pytest.raises(EtudeError, match=told):
            signed.read(rewritten(archive, shell.folder / "wrong.zip", **wrong))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")

    with pytest.raises(EtudeError, match="cannot be read as an archive"):
        signed.read(tmp_path / "text.zip")


def test_nothing_to_say_of_a_model_is_refused(shell: Shell) -> None:
    assert shell.run("describe", "kept").code == 2
    assert shell.run("card", "nosuch").code == 3
    assert shell.run("compare", "nosuch", "1", "2").code == 3
