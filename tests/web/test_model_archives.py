"""A version as an archive: what is in it, and whether somebody has changed it since."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from shared import signatures
from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from tests.web.calling import Caller, a_key
from tests.web.registry import FILE, make_version

KEY = "t/somebody/jobs/job_1/1/files/weights.safetensors"
VERIFY = "/v1/manifests/verify"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read is read alike from both databases; what is written is tried on both in tests/shared."""
    return sqlite_url


@pytest.fixture(autouse=True)
def songs(database: Database, storage: Storage, tenant: str) -> None:
    storage.put(KEY, [b"weights"])
    with database.transaction() as sql:
        make_version(sql, tenant, files=[{**FILE, "key": KEY, "sha256": hashlib.sha256(b"weights").hexdigest()}])


@pytest.fixture
def archive(caller: Caller) -> zipfile.ZipFile:
    answer = caller.call("GET", "/v1/models/songs/versions/1/download")
    assert (answer.status_code, answer.content_type) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(answer.data))


def verify(caller: Caller, manifest: bytes, signature: str) -> Any:
    return caller.call("POST", VERIFY, {"manifest": manifest.decode(), "signature": signature})


def test_an_archive_has_the_card_in_three_forms_and_the_digest_of_every_file(
    archive: zipfile.ZipFile, tenant: str
) -> None:
    names = set(archive.namelist())
    manifest = json.loads(archive.read("manifest.json"))

    assert names == {"weights.safetensors", "card.json", "card.html", "card.md", "manifest.json", "manifest.sig"}
    assert set(manifest["files"]) == names - {"manifest.json", "manifest.sig"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    assert json.loads(archive.read("card.json"))["reference"] == "songs@1"
    assert tenant not in "".join(archive.read(name).decode(errors="replace") for name in names)


def test_the_manifest_is_known_again_by_every_tenant_of_this_service(
    caller: Caller, client: Any, archive: zipfile.ZipFile, database: Database, settings: Settings, other: str
) -> None:
    manifest, signature = archive.read("manifest.json"), archive.read("manifest.sig").decode().strip()
    stranger = Caller(client, a_key(database, settings, other, "read"))

    assert verify(caller, manifest, signature).json == {"is_ours": True}
    assert verify(stranger, manifest, signature).json == {"is_ours": True}


def test_a_manifest_that_was_changed_or_signed_by_another_is_not_ours(caller: Caller, archive: zipfile.ZipFile) -> None:
    manifest, signature = archive.read("manifest.json"), archive.read("manifest.sig").decode().strip()
    changed = manifest.replace(b'"form": 1', b'"form": 2')
    assert changed != manifest

    assert verify(caller, changed, signature).json == {"is_ours": False}
    assert verify(caller, manifest + b"\n", signature).json == {"is_ours": False}
    assert verify(caller, manifest, signatures.sign("another pepper", manifest)).json == {"is_ours": False}


@pytest.mark.parametrize("wrong", [{}, {"manifest": "x"}, {"manifest": "x", "signature": "é" * 64}])
def test_what_is_no_signature_is_refused(caller: Caller, wrong: dict[str, str]) -> None:
    assert caller.call("POST", VERIFY, wrong).status_code == 422


def test_without_a_secret_nothing_is_signed() -> None:
    with pytest.raises(ValueError, match="expected a pepper"):
        signatures.sign("", b"{}")


def test_what_comes_with_the_service_is_not_handed_out(caller: Caller) -> None:
    refused = caller.call("GET", "/v1/models/etude.tagger-mtt/versions/1/download")

    assert (refused.status_code, refused.json["code"]) == (409, "model_builtin")
