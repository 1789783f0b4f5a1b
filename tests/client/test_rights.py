"""Licences and consents on the command line: declared, shown, withdrawn; and what they stop."""

import json
from pathlib import Path

from tests.client.conftest import Shell

FEW = ("--param", "epochs=3", "--param", "baselines=false", "--watch")


def test_terms_are_declared_shown_and_withdrawn(shell: Shell, songs: Path) -> None:
    assert shell.run("upload", str(songs), "--target", "genre", "--name", "terms").code == 0
    declared = shell.run("rights-set", "terms@1", "--licence", "cc-by-nc-4.0", "--holder", "Ada [A]")
    again = shell.run("rights-set", "terms@1", "--licence", "CC-BY-NC-4.0")
    half = shell.run("rights-set", "terms@1", "--until", "2099-01-01T00:00:00Z")
    trained = shell.run("train", "terms@1", "--model", "terms", *FEW)
    refused = shell.run("alias", "terms", "champion", "1")
    withdrawn = shell.run("rights-set", "terms@1", "--consent", "refused", "--reason", "asked by letter")
    shown, history = shell.run("rights", "terms@1", "--json"), shell.run("rights", "terms@1", "--history")

    assert "commercial use no" in declared.out and "Ada [A]" in declared.out
    assert (again.code, "rights_unchanged" in again.err or "Nothing changes" in again.err) == (2, True)
    assert (half.code, "--consent granted" in half.err) == (2, True)
    assert trained.code == 0, trained.err
    assert (refused.code, "CC-BY-NC-4.0" in refused.err) == (2, True)
    assert "terms@1: commercial use no, consent refused; consent withdrawn after training" in withdrawn.out
    assert json.loads(shown.out)["rights"]["consent"] == "refused"
    assert "asked by letter" in history.out
