"""A version once more and elsewhere, on the command line: trained by one worker, and again."""

import json
import zipfile
from pathlib import Path

import onnxruntime

from tests.client.conftest import Shell

FEW = ("--param", "epochs=3", "--param", "baselines=false", "--watch")


def test_a_version_is_trained_again_and_exported(shell: Shell, songs: Path) -> None:
    trained = shell.run("train", str(songs), "--target", "genre", "--model", "afresh", *FEW)
    again = shell.run("reproduce", "afresh@1", "--watch")
    saved = shell.run("export", "afresh@1", "-o", "out")
    listed = shell.run("models", "afresh", "--json")

    assert trained.code == 0, trained.err
    assert again.code == 0, again.err
    assert "afresh@1 came out the same, byte for byte" in again.out
    assert "weights.safetensors" in again.out
    assert saved.code == 0, saved.err
    archives = {path.name.split(".")[-2]: path for path in (shell.folder / "out").iterdir()}
    assert set(archives) == {"saved_model", "litert", "onnx"}
    with zipfile.ZipFile(archives["onnx"]) as content:
        network = onnxruntime.InferenceSession(content.read("model.onnx"), providers=["CPUExecutionProvider"])
        columns = json.loads(content.read("model.json"))["inputs"]["columns"]
    assert network.get_inputs()[0].shape == ["rows", len(columns)]
    assert "onnx" in saved.out
    assert len(json.loads(listed.out)["versions"]) == 1


def test_what_cannot_be_exported_is_told_before_anything_is_done(shell: Shell) -> None:
    nothing = shell.run("export", "nosuch@1")
    builtin = shell.run("export", "etude.tagger-mtt", "--json")
    strange = shell.run("export", "afresh@1", "--format", "pickle")
    never = shell.run("reproduce", "nosuch")

    assert (nothing.code, never.code) == (3, 3)
    assert builtin.code == 2
    assert "model_builtin" in builtin.err
    assert strange.code == 2
    assert "saved_model" in strange.err
