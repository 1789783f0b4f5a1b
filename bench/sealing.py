"""Sealing and opening on one core, against Tink; a training and a scoring with every file sealed, against none."""

import dataclasses
import functools
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tink
from flask.testing import FlaskClient
from tink import streaming_aead

from bench.measurement import Measurement, MeasurementBroken, compare
from migrations.upgrade import upgrade
from shared import keys, settings
from shared.database import Database
from shared.sealing.segments import HEADER_BYTES, Opener, seal
from shared.settings import Settings
from shared.storage import Storage, Stored
from web.app import create_app, create_services
from worker import device, runner
from worker.post import Post

MB, MiB = 1e6, 1024 * 1024
SIZE = 256 * MiB
ROWS, COLUMNS = 200_000, 24
# Of a catalogue, how many times the table; of a short job, how often it is done in a round.
TIMES, SHORT_JOBS = 6, 3
BOUND = b"etude-1\0file\0ten_1\0t/ten_1/a\0ok_1"
LIMIT_MB_S = 250.0
TRAINING = {"hidden": [{"units": 64}], "epochs": 3, "batch_size": 512, "early_stopping": False, "baselines": False}
Json = dict[str, Any]


def measure(rounds: int) -> list[Measurement]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sealing, opening = _against_tink(rounds)
    stored, fetched, trained, scored, scored_all = _in_storage(rounds)
    said = f"{SIZE // MiB} MiB in memory, segments of 1 MiB, one core"
    limit = f"the peer is {LIMIT_MB_S:g} MB/s; {said}"
    disk = f"{SIZE // MiB} MiB, SHA-256 and a local folder included; the peer writes and reads the bytes as they are"
    catalogue = f"the same, of {TIMES * ROWS:,} rows"
    job = f"a table of {ROWS:,} × {COLUMNS} through 64-1, claimed, carried out and published by the worker's own runner"
    return [
        compare("sealing, against Tink's streaming AEAD", sealing, unit="MB/s", bar="≥ 1", note=said),
        compare("opening, against Tink's streaming AEAD", opening, unit="MB/s", bar="≥ 1", note=said),
        compare("sealing", [(ours, LIMIT_MB_S) for ours, _ in sealing], unit="MB/s", bar="≥ 1", note=limit),
        compare("opening", [(ours, LIMIT_MB_S) for ours, _ in opening], unit="MB/s", bar="≥ 1", note=limit),
        compare("storing a sealed file, against an open one", stored, unit="s", bar="≤ 2", note=disk),
        compare("fetching a sealed file, against an open one", fetched, unit="s", bar="≤ 2", note=disk),
        compare("training, files sealed against open", trained, unit="s", bar="≤ 1.05", note=job),
        compare("scoring, files sealed against open", scored, unit="s", bar="≤ 1.05", note=job),
        compare("scoring a catalogue, files sealed against open", scored_all, unit="s", bar="≤ 1.05", note=catalogue),
    ]


def _against_tink(rounds: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    key, content = os.urandom(32), os.urandom(MiB)
    theirs = _tink()
    sealing, opening = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        ours = list(seal(key, BOUND, (content for _ in range(SIZE // MiB))))
        sealed_s = time.perf_counter() - began
        began = time.perf_counter()
        kept = _seal_by(theirs, content)
        sealing.append((_mb_s(sealed_s), _mb_s(time.perf_counter() - began)))
        size = sum(map(len, ours))
        began = time.perf_counter()
        opener = Opener(key, BOUND, header=ours[0][:HEADER_BYTES], size=size)
        count = sum(len(block) for block in opener.open(ours[1:], first=0, after=opener.count))
        opened_s = time.perf_counter() - began
        began = time.perf_counter()
        also = _open_by(theirs, kept)
        opening.append((_mb_s(opened_s), _mb_s(time.perf_counter() - began)))
        if count != SIZE or also != SIZE:
            raise MeasurementBroken(f"expected {SIZE} bytes of each, received {count} and {also}")
    return sealing, opening


class _Kept(io.BytesIO):
    """Tink closes what it writes to."""

    def close(self) -> None:
        self.content = self.getvalue()


def _tink() -> streaming_aead.StreamingAead:
    streaming_aead.register()
    template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    handle = tink.new_keyset_handle(template)
    return handle.primitive(streaming_aead.StreamingAead)


def _seal_by(primitive: streaming_aead.StreamingAead, content: bytes) -> bytes:
    kept = _Kept()
    with primitive.new_encrypting_stream(kept, BOUND) as stream:
        for _ in range(SIZE // MiB):
            stream.write(content)
    return kept.content


def _open_by(primitive: streaming_aead.StreamingAead, sealed: bytes) -> int:
    count = 0
    with primitive.new_decrypting_stream(io.BytesIO(sealed), BOUND) as stream:
        while block := stream.read(MiB):
            count += len(block)
    return count


def _mb_s(seconds: float) -> float:
    return SIZE / MB / seconds


class OpenStorage(Storage):
    """The same storage with nothing sealed: what there was before."""

    def put_all(self, files: Sequence[tuple[str, Iterable[bytes]]]) -> list[Stored]:
        return [self._put_open(key, blocks) for key, blocks in files]

    def _put_open(self, key: str, blocks: Iterable[bytes]) -> Stored:
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for block in blocks:
                digest.update(block)
                size += len(block)
                yield block

        self.objects.put(key, counted())
        return Stored(size, digest.hexdigest())

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:
            return
        yield from self._plain(key, start, length)


class House:
    """A tenant, a dataset and a model over one database, and a worker's runner over one storage."""

    def __init__(self, chosen: Settings, sort: type[Storage]) -> None:
        self.database = Database(chosen)
        self.storage = sort(chosen)
        self.post = Post(chosen, self.database, self.storage, "worker-1")
        with self.database.transaction() as sql:
            tenant = keys.ensure_tenant(sql, "bench")
            key = keys.create(sql, tenant, name="bench", scope=keys.ADMIN, pepper=chosen.pepper)
        services = dataclasses.replace(create_services(chosen), storage=self.storage)
        self._client: FlaskClient = create_app(services).test_client()
        self._headers = {"Authorization": f"Bearer {key}"}
        self._upload("table", times=1)
        self._upload("catalogue", times=TIMES)
        self.train()

    def train(self) -> float:
        wanted = {"action": "train", "kind": "regression", "dataset": "table", "model": "model", "params": TRAINING}
        return self._work(wanted, "train")

    def score(self, dataset: str = "table") -> float:
        return self._work({"action": "score", "model": "model@1", "dataset": dataset}, "train")

    def _upload(self, name: str, *, times: int) -> None:
        made = self._call("POST", "/v1/datasets", json={"name": name, "columns": {"target": "loudness"}})
        place = f"/v1/datasets/{made['id']}"
        octets = {"Content-Type": "application/octet-stream"}
        for number in range(times):
            self._call("PUT", f"{place}/files/{number}.csv", data=_table(), headers={**self._headers, **octets})
        job = self._call("POST", f"{place}/commit")
        runner.run(self.post, "light", only_tenant=None)
        self._demand(job["id"])

    def _work(self, wanted: Json, queue: str) -> float:
        job = self._call("POST", "/v1/jobs", json=wanted)
        began = time.perf_counter()
        runner.run(self.post, queue, only_tenant=None)
        taken = time.perf_counter() - began
        self._demand(job["id"])
        return taken

    def _demand(self, job: str) -> None:
        ended = self._call("GET", f"/v1/jobs/{job}")
        if ended["state"] != "succeeded":
            raise MeasurementBroken(f"{job} {ended['state']}: {ended['error']}")

    def _call(self, method: str, path: str, **more: Any) -> Json:
        answer = self._client.open(path, method=method, **{"headers": self._headers, **more})
        if answer.status_code >= 400:
            raise MeasurementBroken(f"{method} {path}: {answer.get_data(as_text=True)}")
        return dict(answer.get_json(silent=True) or {})


@contextmanager
def _houses() -> Iterator[tuple[House, House]]:
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        made = []
        for name, sort in (("sealed", Storage), ("open", OpenStorage)):
            given = {"ETUDE_HOME": f"{folder}/{name}", "ETUDE_PEPPER": "x" * 32, "ETUDE_ROOT_KEY": "4e" * 32}
            nobody = {"ETUDE_REDIS_URL": f"redis+socket://{folder}/nobody.sock?virtual_host=0"}
            chosen = settings.read({**given, **nobody})
            chosen.home.mkdir()
            upgrade(chosen.database_url)
            made.append(House(chosen, sort))
        yield made[0], made[1]
        for house in made:
            house.database.close()


def _in_storage(rounds: int) -> list[list[tuple[float, float]]]:
    device.prepare()
    found: list[list[tuple[float, float]]] = [[], [], [], [], []]
    with _houses() as (sealed, plain):
        for house in (sealed, plain):
            house.score()
        for number in range(rounds):
            # Each first as often as the other.
            order = (sealed, plain) if number % 2 == 0 else (plain, sealed)
            taken = {house: (_put(house), _get(house), house.train(), house.score("catalogue")) for house in order}
            kept = (found[0], found[1], found[2], found[4])
            for pairs, pair in zip(kept, zip(taken[sealed], taken[plain], strict=True), strict=True):
                pairs.append(pair)
            for _ in range(SHORT_JOBS):
                order = order[::-1]
                short = {house: house.score() for house in order}
                found[3].append((short[sealed], short[plain]))
    return found


def _put(house: House) -> float:
    block = os.urandom(MiB)
    began = time.perf_counter()
    house.storage.put("t/ten_1/bench", (block for _ in range(SIZE // MiB)))
    return time.perf_counter() - began


def _get(house: House) -> float:
    began = time.perf_counter()
    path = house.storage.fetch("t/ten_1/bench", house.post.settings.home / "copy")
    taken = time.perf_counter() - began
    Path(path).unlink()
    return taken


@functools.cache
def _table() -> bytes:
    random = np.random.default_rng(1)
    numbers = random.normal(size=(ROWS, COLUMNS)).round(4)
    target = (numbers[:, 0] * 2 + random.normal(size=ROWS)).round(4)
    out = io.StringIO()
    out.write(",".join([*(f"f{place:02}" for place in range(COLUMNS)), "loudness"]) + "\n")
    np.savetxt(out, np.column_stack([numbers, target]), fmt="%.4f", delimiter=",")
    return out.getvalue().encode()
