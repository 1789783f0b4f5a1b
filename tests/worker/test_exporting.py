"""A version exported: archives that others can run, held against the predictions that the service makes."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sqlalchemy import Row, select, update

from shared import jobs
from shared.kept_files import EXAMPLES
from shared.tables import outputs, versions
from tests import factories
from tests.worker import canonical, working
from worker import features, runner, tables
from worker.exports import formats
from worker.runner import Post

Json = dict[str, Any]

# Temperature scaling, so that it must be inside.
CALIBRATED = {"epochs": 12, "hidden": [{"units": 6, "batch_normalization": True}], "calibration": "temperature"}
NUMBERS = {"epochs": 5, "hidden": [{"units": 6, "activation": "gelu"}], "baselines": False}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is written ends a job as any other does, which is tried on both databases in test_runner."""
    return sqlite_url


def train(post: Post, tenant: str, dataset: str, **values: Any) -> Row[Any]:
    job = working.submit(post, tenant, dataset, **values)
    assert runner.run(post, "train", only_tenant=None) is not None
    assert working.find(post, job).state == jobs.SUCCEEDED
    [version] = working.made(post, job)
    return version


def export(post: Post, tenant: str, version: Row[Any], *named: str, kind: str = "classification") -> Row[Any]:
    with post.database.transaction() as sql:
        params = {"formats": list(named)} if named else {}
        job = factories.make_job(sql, tenant, action="export", version=version.id, kind=kind, params=params)
    assert runner.run(post, "train", only_tenant=None) is not None
    return working.find(post, job)


def archives(post: Post, job: str) -> dict[str, zipfile.ZipFile]:
    """The archive of each format, out of the one that holds all."""
    with post.database.reading() as sql:
        keys = {row.name: row.key for row in sql.execute(select(outputs).where(outputs.c.job == job))}
    whole = zipfile.ZipFile(io.BytesIO(post.storage.get(keys["files.zip"])))
    listed = [json.loads(line) for line in post.storage.get(keys["files.jsonl"]).splitlines()]
    assert [each["name"] for each in listed] == whole.namelist()
    return {each["name"].split(".")[-2]: zipfile.ZipFile(io.BytesIO(whole.read(each["name"]))) for each in listed}


def test_a_classification_is_exported_with_its_temperature_and_all_that_its_use_needs(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path, rows=120)
    version = train(post, tenant, dataset, params=CALIBRATED)

    row = export(post, tenant, version)

    assert row.state == jobs.SUCCEEDED, row.error
    assert row.result["files"] == 3
    assert set(row.result["formats"]) == set(formats.FORMATS)
    for said in row.result["formats"].values():
        assert said["checked"]["rows"] == 256
        assert said["checked"]["largest_difference"] <= 1e-5
    for name, archive in archives(post, row.id).items():
        told = json.loads(archive.read("model.json"))
        assert (told["model"], told["format"]) == ("songs@1", name)
        assert set(told["files"]) < set(archive.namelist())
        assert "songs@1" in archive.read("README.md").decode()
        files = {each: archive.read(each) for each in told["files"]}
        x = np.array(told["example"]["inputs"], np.float32)
        answered = formats.FORMATS[name].run(files, x)
        assert answered == pytest.approx(np.array(told["example"]["outputs"]), abs=1e-5)


def test_a_network_outside_answers_rows_of_the_table_as_a_scoring_does(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_dataset(post, tenant, tmp_path, rows=120)
    version = train(post, tenant, dataset, params=CALIBRATED)
    scored = working.submit(post, tenant, dataset, action="score", version=version.id, params={"formats": ["jsonl"]})
    runner.run(post, "train", only_tenant=None)
    with post.database.reading() as sql:
        chosen = select(outputs.c.key).where(outputs.c.job == scored, outputs.c.name == "predictions.jsonl")
        lines = post.storage.get(sql.execute(chosen).scalar_one()).splitlines()

    archive = archives(post, export(post, tenant, version, "onnx").id)["onnx"]

    told = json.loads(archive.read("model.json"))
    asked = features.from_json(told["preprocessing"])
    x, bad = features.matrix(asked, tables.read([tmp_path / "part-00000.parquet"], [each.name for each in asked]))
    session = onnxruntime.InferenceSession(archive.read("model.onnx"), providers=["CPUExecutionProvider"])
    (answered,) = session.run(None, {told["inputs"]["tensor"]: x})
    [label] = told["outputs"]["columns"]
    assert not bad
    assert len(told["inputs"]["columns"]) == x.shape[1]
    predicted = [json.loads(line)["probabilities"][label] for line in lines]
    assert answered[:, 0] == pytest.approx(np.array(predicted), abs=1e-5)


def test_a_regression_of_several_numbers_says_how_they_are_read(post: Post, tenant: str, tmp_path: Path) -> None:
    dataset = working.store_table(post, tenant, tmp_path, canonical.music(60), target=["tempo", "noise"], id="piece")
    version = train(post, tenant, dataset, kind="regression", params=NUMBERS)

    row = export(post, tenant, version, "litert", "litert", kind="regression")

    assert list(row.result["formats"]) == ["litert"]
    outputs_told = json.loads(archives(post, row.id)["litert"].read("model.json"))["outputs"]
    assert outputs_told["columns"] == ["tempo", "noise"]
    assert len(outputs_told["mean"]) == len(outputs_told["scale"]) == 2


def test_a_version_that_keeps_nothing_of_its_training_is_checked_by_rows_that_are_drawn(
    post: Post, tenant: str, tmp_path: Path
) -> None:
    version = train(post, tenant, working.store_dataset(post, tenant, tmp_path))
    bare = [file for file in version.files if file["name"] not in (EXAMPLES, "inputs.safetensors")]
    with post.database.transaction() as sql:
        sql.execute(update(versions).where(versions.c.id == version.id).values(files=bare))

    row = export(post, tenant, version, "onnx")

    assert len(bare) < len(version.files)
    assert row.result["formats"]["onnx"]["checked"]["rows"] == 256


def test_an_export_that_answers_otherwise_is_not_handed_out(
    post: Post, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = train(post, tenant, working.store_dataset(post, tenant, tmp_path))
    sound = formats.FORMATS["onnx"]

    def bent(spec: Any, weights: Any) -> dict[str, bytes]:
        return sound.write(spec, {**weights, "output.bias": weights["output.bias"] + np.float32(0.01)})

    monkeypatch.setitem(formats.FORMATS, "onnx", formats.Format(bent, sound.run, sound.inputs, sound.outputs))
    row = export(post, tenant, version, "onnx")

    assert (row.state, row.error["code"]) == (jobs.FAILED, "export_differs")
    with post.database.reading() as sql:
        assert sql.execute(select(outputs).where(outputs.c.job == row.id)).all() == []


def test_a_version_whose_files_are_damaged_is_not_exported(post: Post, tenant: str, tmp_path: Path) -> None:
    version = train(post, tenant, working.store_dataset(post, tenant, tmp_path))
    post.storage.put(version.files[0]["key"], [b"rust"])

    row = export(post, tenant, version, "onnx")

    assert (row.state, row.error["code"]) == (jobs.FAILED, "integrity")
