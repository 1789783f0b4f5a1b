"""One contract for files, kept by a local folder and by S3 (a real server of its protocol)."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from shared import storage as places
from shared.errors import Unavailable
from shared.settings import Settings, read
from shared.storage import Storage
from tests.conftest import ROOT_KEY

MiB = 1024 * 1024


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a bucket on a server of our own; the rest is told by AWS_* variables, as to every S3 client."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    given = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="eu-central-1")
    client.create_bucket(Bucket="etude", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.close()
    yield "s3://etude/files"
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    chosen = read({"ETUDE_HOME": str(tmp_path), "ETUDE_ROOT_KEY": ROOT_KEY})
    if request.param == "s3":
        # A storage belongs to one key store, and each test has its own.
        chosen = dataclasses.replace(chosen, storage_url=f"{request.getfixturevalue('s3')}/{tmp_path.name}")
    return Storage(chosen)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A place of the test's own; the bucket is shared."""
    return places.dataset_folder("ten_1", f"ds_{abs(hash(request.node.name))}")


def test_what_was_written_is_read_and_its_digest_told(storage: Storage, folder: str) -> None:
    stored = storage.put(f"{folder}a", [b"some ", b"music"])

    assert storage.get(f"{folder}a") == b"some music"
    assert (stored.size_bytes, stored.sha256) == (10, hashlib.sha256(b"some music").hexdigest())
    assert storage.exists(f"{folder}a")


def test_a_large_object_is_streamed_and_any_part_of_it_read(storage: Storage, folder: str, tmp_path: Path) -> None:
    block = bytes(range(256)) * 4096
    stored = storage.put(f"{folder}large", (block for _ in range(20)))

    assert stored.size_bytes == 20 * MiB
    assert b"".join(storage.stream(f"{folder}large", start=MiB + 3, length=10)) == block[3:13]
    copied = storage.fetch(f"{folder}large", tmp_path / "copy")
    assert copied.read_bytes() == block * 20
    assert max(len(each) for each in storage.stream(f"{folder}large")) <= 8 * MiB


def test_an_upload_that_breaks_off_leaves_nothing(storage: Storage, folder: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (6 * MiB)
        raise ConnectionError("the client is gone")

    with pytest.raises((ConnectionError, Unavailable)):
        storage.put(f"{folder}half", broken())

    assert not storage.exists(f"{folder}half")


def test_one_object_is_deleted_and_its_neighbours_stay(storage: Storage, folder: str) -> None:
    for name in ("a", "ab", "a/b"):
        storage.put(f"{folder}{name}x", [b"1"])

    storage.delete(f"{folder}ax")
    storage.delete(f"{folder}ax")

    assert [storage.exists(f"{folder}{name}x") for name in ("a", "ab", "a/b")] == [False, True, True]


def test_a_folder_is_deleted_with_everything_in_it_and_nothing_beside(storage: Storage, folder: str) -> None:
    for name in ("in/1", "in/deep/2", "inside"):
        storage.put(f"{folder}{name}", [b"1"])

    assert storage.delete_folder(f"{folder}in/") == 2

    assert storage.exists(f"{folder}inside")


def test_a_missing_object_is_unavailable_by_name(storage: Storage, folder: str) -> None:
    with pytest.raises(Unavailable) as caught:
        storage.get(f"{folder}nowhere")

    assert caught.value.code == "file_missing"
    assert not storage.exists(f"{folder}nowhere")


def test_a_store_that_is_away_is_unavailable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    away = Storage(dataclasses.replace(settings, storage_url="s3://etude"))

    with pytest.raises(Unavailable):
        away.check()
