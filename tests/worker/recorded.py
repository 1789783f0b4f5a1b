"""Datasets of audio in a test: files in storage, an ingest by a real ear, and what came of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row

from shared import datasets, job_list
from shared import storage as places
from tests.worker import working
from tests.worker.audio import sounds
from worker import runner
from worker.runner import Post

Json = dict[str, Any]
RATE_HZ = 16_000


def tone(hz: float, *, seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """A tone that comes and goes in some noise, float32 (frames, 1); no two pitches or seeds sound the same."""
    random = np.random.default_rng([seed, round(hz * 10)])
    times_s = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    steps = np.repeat(random.integers(0, 12, round(seconds * 4) + 1), RATE_HZ // 4)[: len(times_s)]
    pitch = hz * 2 ** (steps / 12)
    wave = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * times_s))
    return (0.3 * wave + random.normal(scale=0.01, size=len(times_s))).astype(np.float32)[:, None]


def write(path: Path, hz: float, **rest: Any) -> bytes:
    """The bytes of a recording in the format that the name says."""
    return sounds.write(path, tone(hz, **rest), rate_hz=RATE_HZ).read_bytes()


def upload(
    post: Post,
    tenant: str,
    files: Mapping[str, bytes],
    *,
    base: str | None = None,
    name: str = "tracks",
    **columns: Any,
) -> tuple[str, str]:
    """An uploaded and committed dataset; returns its id and its ingest job's."""
    with post.database.transaction() as sql:
        row = datasets.create(sql, tenant, name=name, format="audio", columns=columns, base=base)
    for place, (file, content) in enumerate(files.items()):
        key = places.dataset_file(tenant, row.id, f"file-{place}")
        stored = post.storage.put(key, [content])
        with post.database.transaction() as sql:
            datasets.add_file(sql, tenant, row.id, name=file, key=key, stored=stored)
    with post.database.transaction() as sql:
        return row.id, datasets.begin_ingest(sql, tenant, row.id)


def ingest(post: Post, tenant: str, files: Mapping[str, bytes], **rest: Any) -> tuple[Row[Any], Row[Any]]:
    """Upload, ingest; returns the rows of the dataset and of the job."""
    dataset, job = upload(post, tenant, files, **rest)
    runner.run(post, "light", only_tenant=None)
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, dataset), working.find(post, job)


def reports(post: Post, row: Row[Any]) -> list[Json]:
    """What the dataset says of each of its tracks."""
    (part,) = [part for part in row.parts if part["name"] == "tracks.jsonl"]
    return [json.loads(line) for line in post.storage.get(part["key"]).splitlines()]


def manifest(rows: Sequence[Sequence[Any]], *, header: str = "file,genre,artist") -> bytes:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows), ""]).encode()


def output(post: Post, job: str, name: str) -> bytes:
    """A file that a scoring wrote."""
    with post.database.reading() as sql:
        file = job_list.find_output(sql, job, name)
    assert file is not None, f"{name} was not written"
    return post.storage.get(file.key)
