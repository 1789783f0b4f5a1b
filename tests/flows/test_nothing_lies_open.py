"""A copy of everything but the root key: what was uploaded, learned and answered is in none of its files."""

import base64
import gzip
import io
import json
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.flows.service import Service

# What nobody else writes: a recording's name as a cell, a number as a cell, and a word that predictions repeat.
TRACK, CELL, GENRE = "Canary-of-Alençon-7731", "918273.645", "zyzzogetone"
ROWS = 300


def songs() -> str:
    lines = ["track,tempo,energy,genre"]
    for number in range(ROWS):
        genre = GENRE if number % 2 else "pop"
        lines.append(f"{TRACK}-{number},{CELL if number == 7 else 100 + number % 2 * 20 + number / 1000},0.5,{genre}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a service that was used, without the root key, and while nothing runs."""
    home = tmp_path_factory.mktemp("home")
    service = Service(home)
    try:
        service.upload("songs", songs(), target="genre", id="track")
        wanted = {"action": "train", "kind": "classification", "dataset": "songs", "model": "canary"}
        trained = service.finish(service.call("POST", "/v1/jobs", wanted)["id"])
        assert trained["state"] == "succeeded", trained["error"]
        scored = service.finish(
            service.call("POST", "/v1/jobs", {"action": "score", "model": "canary@1", "dataset": "songs@1"})["id"]
        )
        rows = service.call("GET", f"/v1/jobs/{scored['id']}/predictions?limit=10")["data"]
        assert rows[0]["key"].startswith(TRACK) and GENRE in json.dumps(rows)
        archive = service.get("/v1/models/canary/versions/1/download")
        assert zipfile.ZipFile(io.BytesIO(archive)).namelist()
    finally:
        service.stop()
    copy = tmp_path_factory.mktemp("stolen") / "home"
    shutil.copytree(home, copy, symlinks=True, ignore=lambda *_: ["root.key", "redis.sock"])
    yield copy


def forms(canary: str) -> list[bytes]:
    plain = canary.encode()
    # At each of three places in a stream base64 looks different; its ends depend on the neighbours.
    in_base64 = [base64.b64encode(b"x" * shift + plain)[4:-4] for shift in range(3)]
    return [
        plain, plain.hex().encode(), plain.hex().upper().encode(), canary.encode("utf-16-le"),
        canary.encode("utf-16-be"), *in_base64, json.dumps(canary)[1:-1].encode(),
    ]  # fmt: skip


def unpacked(content: bytes) -> bytes:
    """The content, and whatever begins in it as gzip or zlib would."""
    found = [content]
    for mark, width in ((b"\x1f\x8b", 31), (b"\x78\x9c", 15), (b"\x78\x01", 15), (b"\x78\xda", 15)):
        place = content.find(mark)
        while place >= 0:
            with suppress(zlib.error):
                found.append(zlib.decompressobj(width).decompress(content[place:]))
            place = content.find(mark, place + 1)
    return b"".join(found)


def find(canary: str, paths: list[Path]) -> list[str]:
    return [path.name for path in paths if any(form in unpacked(path.read_bytes()) for form in forms(canary))]


def test_the_search_would_find_it_in_every_form(tmp_path: Path) -> None:
    text = f"a line, {TRACK}, and more".encode()
    ways = [
        text, base64.b64encode(text), base64.b64encode(b"x" + text), text.hex().encode(), gzip.compress(text),
        text.decode().encode("utf-16"), b"before" + zlib.compress(text) + b"after",
    ]  # fmt: skip
    for number, content in enumerate(ways):
        (tmp_path / str(number)).write_bytes(content)

    assert sorted(find(TRACK, list(tmp_path.iterdir()))) == [str(number) for number in range(len(ways))]


@pytest.mark.parametrize("canary", [TRACK, CELL, GENRE])
def test_no_stored_file_has_it(copied: Path, canary: str) -> None:
    stored = [path for path in (copied / "storage").rglob("*") if path.is_file()]

    assert len(stored) > 5
    assert find(canary, stored) == []


@pytest.mark.parametrize("canary", [TRACK, CELL, GENRE])
def test_no_key_store_log_or_scratch_has_it(copied: Path, canary: str) -> None:
    beside = [
        path for path in copied.rglob("*")
        if path.is_file() and "storage" not in path.parts and not path.name.startswith("etude.db")
    ]  # fmt: skip

    assert {"keys.db"} <= {path.name for path in beside}
    assert find(canary, beside) == []


def test_the_copy_has_no_root_key_and_without_it_opens_nothing(copied: Path) -> None:
    assert not list(copied.rglob("root.key"))


def test_what_the_database_still_says_in_plain_is_what_the_documents_say(copied: Path) -> None:
    database = sqlite3.connect(copied / "etude.db")
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    open_columns: dict[str, set[str]] = {canary: set() for canary in (TRACK, CELL, GENRE)}
    for table in tables:
        cursor = database.execute(f'SELECT * FROM "{table}"')
        names = [each[0] for each in cursor.description]
        for row in cursor:
            for name, value in zip(names, row, strict=True):
                for canary, found in open_columns.items():
                    if canary in str(value):
                        found.add(f"{table}.{name}")
    database.close()

    said = Path("docs/operations.md").read_text()
    assert all(f"`{column}`" in said for found in open_columns.values() for column in found), open_columns
