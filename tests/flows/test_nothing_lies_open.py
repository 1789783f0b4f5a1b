"""A copy of everything but the root key: what was uploaded, learned, answered and named is in none of its bytes."""

import base64
import functools
import gzip
import io
import json
import re
import shutil
import signal
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from migrations.upgrade import upgrade
from shared import redis_server
from shared.processes import die_with_parent
from tests import postgres_server
from tests.flows.service import Service, wait
from tests.worker import recorded
from tests.worker.symbolic import midi_files

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
# Whom and what plays tell of, what recordings and scores are called within, and what is asked for while a client waits.
LISTENER, ITEM, ARTIST = "listenerqx7101zyv", "itemqx7102zyv", "Artistqx7103zyv"
RECORDING, TITLE, PIECE, LYRIC = "recordingqx7104zyv", "Titleqx7105zyv", "pieceqx7106zyv", "Lyricqx7107zyv"
MUSIC = [LISTENER, ITEM, ARTIST, RECORDING, TITLE, PIECE, LYRIC]
CANARIES = [TRACK, CELL, GENRE, *NAMES.values(), *MUSIC]
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
    again = service.finish(service.call("POST", "/v1/jobs", scoring)["id"])
    told = ask(service, "GET", f"/v1/jobs/{again['id']}/diff?with={scored['id']}")
    assert told["same"] == ROWS
    archive = service.get(f"/v1/models/{name['model']}/versions/1/download")
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist()
    refused = service.refused("POST", "/v1/jobs", {**wanted, "dataset": f"{name['dataset']}@9"})
    assert refused["code"] == "unknown_reference"
    assert name["model"] in json.dumps(service.call("GET", "/v1/audit-log"))
    assert name["label"] in json.dumps(service.call("GET", "/v1/usage?by=label"))


def hear(service: Service) -> None:
    """Plays, recordings and scores, and the questions whose answers pass through Redis."""
    plays: list[tuple[Any, ...]] = [("user", "item", "plays")]
    for one in range(20):
        plays += [(f"{LISTENER}-{one}", f"{ITEM}-{one * place % 11}", 1 + place) for place in range(5)]
    items = [("item", "artist"), *((f"{ITEM}-{place}", f"{ARTIST} {place % 3}") for place in range(11))]
    files = {"plays.csv": as_csv(plays), "items.csv": as_csv(items)}
    assert upload(service, "plays", "interactions", files)
    quick = {"model": "neighbours", "neighbours": {"neighbours": 5, "shrink": 0}, "weighting": "binary"}
    training = {"action": "train", "kind": "recommendation", "dataset": "plays", "model": "taste", "params": quick}
    assert run(service, training)["state"] == "succeeded"
    lists = run(service, {"action": "score", "kind": "recommendation", "model": "taste@1", "dataset": "plays"})
    assert ITEM in json.dumps(service.call("GET", f"/v1/jobs/{lists['id']}/predictions?limit=10"))
    for asked in ({"user": f"{LISTENER}-3"}, {"items": [f"{ITEM}-4"]}):
        assert ITEM in json.dumps(ask(service, "POST", "/v1/models/taste@1/recommend", {**asked, "k": 3}))
    assert ITEM in json.dumps(ask(service, "GET", f"/v1/models/taste@1/similar?item={ITEM}-4&k=3"))
    wavs = {f"{RECORDING} {place}.wav": titled(recorded.tone(220.0 * (place + 1))) for place in range(3)}
    rows = [(name, ARTIST, "x") for name in wavs]
    upload(service, "recordings", "audio", {**wavs, "manifest.csv": recorded.manifest(rows)})
    heard = {"action": "score", "kind": "analysis", "dataset": "recordings"}
    assert RECORDING in json.dumps(service.call("GET", f"/v1/jobs/{run(service, heard)['id']}/predictions"))
    where = f"dataset=recordings@1&track={quote(f'{RECORDING} 1.wav')}&k=2&where.genre={ARTIST}"
    assert RECORDING in json.dumps(ask(service, "GET", f"/v1/models/etude.tagger-mtt/versions/1/similar?{where}"))
    sung = midi_files.meta(3, LYRIC.encode()) + midi_files.meta(5, LYRIC.encode()) + midi_files.melody([60, 62, 64, 65])
    upload(service, "scores", "symbolic", {f"{PIECE}.mid": midi_files.file(sung)})
    # In a house that is used, an erasure has a key to be repeated by, too.
    once = {"Idempotency-Key": NAMES["repeated"] + "-erasure"}
    plays_id = service.call("GET", "/v1/datasets?name=plays")["data"][0]["id"]
    erased = service.call("POST", f"/v1/datasets/{plays_id}/erase", {"user": f"{LISTENER}-7"}, **once)
    assert service.finish(erased["id"])["state"] == "succeeded"


def as_csv(rows: list[tuple[Any, ...]]) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def upload(service: Service, name: str, format: str, files: dict[str, bytes]) -> str:
    made = str(service.call("POST", "/v1/datasets", {"name": name, "format": format})["id"])
    for file, content in files.items():
        service.put(f"/v1/datasets/{made}/files/{quote(file)}", content)
    ended = service.finish(service.call("POST", f"/v1/datasets/{made}/commit")["id"])
    assert ended["state"] == "succeeded", ended["error"]
    return made


def run(service: Service, wanted: dict[str, Any]) -> Any:
    job = service.finish(service.call("POST", "/v1/jobs", wanted)["id"])
    assert job["state"] == "succeeded", job["error"]
    return job


def ask(service: Service, method: str, path: str, body: Any = None) -> Any:
    """A question whose first time loads what it is about, and may be late."""
    said: list[Any] = []

    def has_said() -> bool:
        try:
            said.append(service.call(method, path, body))
        except AssertionError as refused:
            assert "answer_late" in str(refused), refused
        return bool(said)

    wait(has_said)
    return said[0]


def titled(wave: np.ndarray) -> bytes:
    """A recording that says its title within, as a chunk of RIFF."""
    written = io.BytesIO()
    soundfile.write(written, wave, recorded.RATE_HZ, format="WAV")
    name = TITLE.encode() + b"\0" * (len(TITLE) % 2)
    info = b"INFOINAM" + struct.pack("<I", len(name)) + name
    whole = written.getvalue() + b"LIST" + struct.pack("<I", len(info)) + info
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


@pytest.fixture(scope="module", params=STORES)
def copied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a service that was used, its database's folder and all that its Redis was ever told, without the root
    key, while nothing runs.
    """
    home, copy = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("stolen")
    server, more = (None, {}) if request.param == "sqlite" else own_server()
    # Not the one of `make up`, which saves nothing: one that writes down each command, as a client's own may.
    place = redis_server.make_place(tmp_path_factory.mktemp("redis"))
    argv = redis_server.arguments(redis_server.find_binary(), place, is_persistent=True)
    redis = subprocess.Popen(argv, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    redis_server.wait_ready(place)
    service = Service(home, ETUDE_WEBHOOK_PRIVATE="127.0.0.0/8", ETUDE_REDIS_URL=place.celery_url, **more)
    try:
        use(service)
        hear(service)
    finally:
        service.stop()
        redis.terminate()
        redis.wait(60)
    shutil.copytree(place.data, copy / "redis", ignore=lambda *_: ["redis.sock"])
    shutil.copytree(home, copy / "home", symlinks=True, ignore=lambda *_: ["root.key"])
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
    """The content, and whatever begins in it as gzip, zlib, Zstandard or a member of a ZIP would, or is Parquet."""
    found = [content, *inflated(content, 0), *members(content), *zstandard(content), *parquet(content)]
    for mark, width in ((b"\x1f\x8b", 31), (b"\x78\x9c", 15), (b"\x78\x01", 15), (b"\x78\xda", 15)):
        place = content.find(mark)
        while place >= 0:
            with suppress(zlib.error):
                found.append(zlib.decompressobj(width).decompress(content[place:]))
            place = content.find(mark, place + 1)
    return b"".join(found)


def inflated(content: bytes, place: int) -> list[bytes]:
    """What begins there as a stream of deflate without a mark of its own."""
    with suppress(zlib.error):
        return [zlib.decompressobj(-15).decompress(content[place:])]
    return []


def members(content: bytes) -> Iterator[bytes]:
    """What begins there as members of a ZIP; of one that is not compressed the content itself says all."""
    for place in places_of(content, b"PK\x03\x04"):
        header = content[place : place + 30]
        if len(header) == 30 and header[8] == zipfile.ZIP_DEFLATED:
            yield from inflated(content, place + 30 + sum(struct.unpack("<HH", header[26:])))


def zstandard(content: bytes) -> Iterator[bytes]:
    for place in places_of(content, b"\x28\xb5\x2f\xfd"):
        with suppress(OSError), pa.input_stream(pa.py_buffer(content[place:]), compression="zstd") as stream:
            # In pieces: what follows the frame is none.
            while piece := stream.read(1):
                yield piece + stream.read(65_536)


def parquet(content: bytes) -> Iterator[bytes]:
    """The cells of what is Parquet, whose pages may lie compressed by Snappy, which has no mark."""
    first, last = content.find(b"PAR1"), content.rfind(b"PAR1")
    if 0 <= first < last:
        with suppress(pa.ArrowException, OSError):
            yield repr(pq.read_table(pa.py_buffer(content[first : last + 4])).to_pydict()).encode()


def places_of(content: bytes, mark: bytes) -> Iterator[int]:
    return (found.start() for found in re.finditer(re.escape(mark), content))


@functools.cache
def content_of(path: Path) -> bytes:
    return unpacked(path.read_bytes())


def find(canary: str, paths: list[Path]) -> list[str]:
    return [path.name for path in paths if any(form in content_of(path) for form in forms(canary))]


def test_the_search_would_find_it_in_every_form(tmp_path: Path) -> None:
    text = f"a line, {TRACK}, and more".encode()
    ways = [
        text, base64.b64encode(text), base64.b64encode(b"x" + text), text.hex().encode(), gzip.compress(text),
        text.decode().encode("utf-16"), b"before" + zlib.compress(text) + b"after", raw_deflate(text),
        b"before" + zipped(text) + b"after", b"before" + bytes(pa.Codec("zstd").compress(text)) + b"after",
        *(as_parquet(text.decode(), codec) for codec in ("none", "snappy", "zstd", "gzip")),
    ]  # fmt: skip
    for number, content in enumerate(ways):
        (tmp_path / str(number)).write_bytes(content)

    assert sorted(map(int, find(TRACK, list(tmp_path.iterdir())))) == list(range(len(ways)))


def raw_deflate(text: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(text) + packing.flush()


def zipped(text: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a name", text)
    return written.getvalue()


def as_parquet(text: str, codec: str) -> bytes:
    written = io.BytesIO()
    # Many cells, which no codec leaves as they are.
    pq.write_table(pa.table({"a": [text] * 50}), written, compression=codec, use_dictionary=False)
    return written.getvalue()


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
    assert find("classification", files) and find("etude.question.", files)


@pytest.mark.parametrize("part", ["storage", "redis", "database"])
def test_one_plain_byte_of_it_would_be_found(copied: Path, tmp_path: Path, part: str) -> None:
    """Into a copy of the largest file of each part the canary is put where it lies among all the rest, packed."""
    inside = {path for path in every_file(copied) if path.stat().st_size > 1000}
    chosen = {
        "storage": [path for path in inside if "storage" in path.parts],
        "redis": [path for path in inside if path.relative_to(copied).parts[0] == "redis"],
        "database": [path for path in inside if path.name == "etude.db" or "postgresql" in path.parts],
    }[part]
    content = max(chosen, key=lambda path: path.stat().st_size).read_bytes()
    half = len(content) // 2
    planted = tmp_path / "planted"
    planted.write_bytes(content[:half] + zipped(f"a line, {LISTENER}, and more".encode()) + content[half:])

    assert find(LISTENER, [planted]) == ["planted"]


def test_the_copy_has_no_root_key_and_without_it_opens_nothing(copied: Path) -> None:
    assert not list(copied.rglob("root.key"))
