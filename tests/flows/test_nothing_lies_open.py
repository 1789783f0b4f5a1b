"""A copy of everything but the root key: what was uploaded, learned, answered and named is in none of its bytes."""

import base64
import functools
import gzip
import io
import json
import shutil
import signal
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrations.upgrade import upgrade
from tests import postgres_server
from tests.flows.service import Service

# What nobody else writes: a recording's name as a cell, a number as a cell, and a word that predictions repeat.
TRACK, CELL, GENRE = "Canary-of-Alençon-7731", "918273.645", "zyzzogetone"
# And what its owner calls things: each where an API takes a name or a sentence.
NAMES = {
    name: f"{name}qx{number}zyv"
    for number, name in enumerate(
        ("dataset", "file", "column", "model", "alias", "label", "worth", "schedule", "key", "holder", "reason",
         "description", "hook", "repeated", "limits"),
        start=7001,
    )
}  # fmt: skip
CANARIES = [TRACK, CELL, GENRE, *NAMES.values()]
ROWS = 300
STORES = ("sqlite", "postgresql")


def songs() -> str:
    lines = [f"track,{NAMES['column']},energy,genre"]
    for number in range(ROWS):
        genre = GENRE if number % 2 else "pop"
        lines.append(f"{TRACK}-{number},{CELL if number == 7 else 100 + number % 2 * 20 + number / 1000},0.5,{genre}")
    return "\n".join(lines) + "\n"


def use(service: Service) -> None:
    """Whatever a label does with it in its first week."""
    name = NAMES
    called = {"name": name["dataset"], "columns": {"target": "genre", "id": "track"}}
    dataset = service.call("POST", "/v1/datasets", called)["id"]
    service.put(f"/v1/datasets/{dataset}/files/{name['file']}.csv", songs().encode())
    ingested = service.finish(service.call("POST", f"/v1/datasets/{dataset}/commit")["id"])
    assert ingested["state"] == "succeeded", ingested["error"]
    entry = {"licence": "CC-BY-4.0", "holder": name["holder"], "reason": name["reason"]}
    service.call("POST", f"/v1/datasets/{dataset}/rights", entry)
    hook = {"url": f"http://127.0.0.1:9/{name['hook']}", "events": ["*"], "description": name["description"]}
    service.call("POST", "/v1/webhooks", hook)
    service.call("POST", "/v1/keys", {"name": name["key"], "scope": "read"})
    wanted = {
        "action": "train", "kind": "classification", "dataset": name["dataset"], "model": name["model"],
        "labels": {name["label"]: name["worth"]},
    }  # fmt: skip
    once = {"Idempotency-Key": name["repeated"]}
    trained = service.finish(service.call("POST", "/v1/jobs", wanted, **once)["id"])
    assert trained["state"] == "succeeded", trained["error"]
    assert service.call("POST", "/v1/jobs", wanted, **once)["id"] == trained["id"]
    service.call("PATCH", f"/v1/models/{name['model']}", {"limits": name["limits"]})
    where = f"/v1/models/{name['model']}/aliases/{name['alias']}"
    service.call("PUT", where, {"version": 1, "reason": name["reason"]})
    scoring = {"action": "score", "model": f"{name['model']}@1", "dataset": name["dataset"]}
    nightly = {"name": name["schedule"], "cron": "0 3 * * *", "timezone": "UTC", "job": scoring}
    service.call("POST", "/v1/schedules", nightly)
    scored = service.finish(service.call("POST", "/v1/jobs", scoring)["id"])
    rows = service.call("GET", f"/v1/jobs/{scored['id']}/predictions?limit=10")["data"]
    assert rows[0]["key"].startswith(TRACK) and GENRE in json.dumps(rows)
    archive = service.get(f"/v1/models/{name['model']}/versions/1/download")
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist()
    refused = service.refused("POST", "/v1/jobs", {**wanted, "dataset": f"{name['dataset']}@9"})
    assert refused["code"] == "unknown_reference"
    assert name["model"] in json.dumps(service.call("GET", "/v1/audit-log"))
    assert name["label"] in json.dumps(service.call("GET", "/v1/usage?by=label"))


@pytest.fixture(scope="module", params=STORES)
def copied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a service that was used, and its database's folder, without the root key, while nothing runs."""
    home, copy = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("stolen")
    server, more = (None, {}) if request.param == "sqlite" else own_server()
    service = Service(home, ETUDE_WEBHOOK_PRIVATE="127.0.0.0/8", **more)
    try:
        use(service)
    finally:
        service.stop()
    shutil.copytree(home, copy / "home", symlinks=True, ignore=lambda *_: ["root.key", "redis.sock"])
    if server is not None:
        shutil.copytree(put_to_rest(server), copy / "postgresql", ignore=lambda *_: ["postmaster.pid"])
        server.stop()
    yield copy


def own_server() -> tuple[postgres_server.Server, dict[str, Any]]:
    """A PostgreSQL that holds nothing else, and the settings of a service that uses it."""
    server = postgres_server.start(demand_own=True)
    server.create_database("etude")
    upgrade(server.url("etude"))
    server.admit_app("etude")
    return server, {"ETUDE_DATABASE_URL": server.url("etude")}


def put_to_rest(server: postgres_server.Server) -> Path:
    """All in its files, as after a shutdown; returns its folder."""
    assert server.folder is not None and server.process is not None
    with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as sql:
        sql.execute("CHECKPOINT")
    server.process.send_signal(signal.SIGINT)
    server.process.wait(60)
    return server.folder / "data"


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


@functools.cache
def content_of(path: Path) -> bytes:
    return unpacked(path.read_bytes())


def find(canary: str, paths: list[Path]) -> list[str]:
    return [path.name for path in paths if any(form in content_of(path) for form in forms(canary))]


def test_the_search_would_find_it_in_every_form(tmp_path: Path) -> None:
    text = f"a line, {TRACK}, and more".encode()
    ways = [
        text, base64.b64encode(text), base64.b64encode(b"x" + text), text.hex().encode(), gzip.compress(text),
        text.decode().encode("utf-16"), b"before" + zlib.compress(text) + b"after",
    ]  # fmt: skip
    for number, content in enumerate(ways):
        (tmp_path / str(number)).write_bytes(content)

    assert sorted(find(TRACK, list(tmp_path.iterdir()))) == [str(number) for number in range(len(ways))]


def every_file(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("canary", CANARIES)
def test_no_byte_of_the_copy_has_it(copied: Path, canary: str) -> None:
    files = every_file(copied)

    assert {"storage", "etude.db" if not (copied / "postgresql").exists() else "pg_wal"} <= {
        part for path in files for part in path.relative_to(copied).parts
    }
    assert find(canary, files) == []
    # What is no secret lies there in plain: the search reads what it should.
    assert find("classification", files)


def test_the_copy_has_no_root_key_and_without_it_opens_nothing(copied: Path) -> None:
    assert not list(copied.rglob("root.key"))
