"""Datasets of audio whose tracks were heard, or not yet: rows and a Parquet file as ingest and scoring leave them."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import update

from shared import features, storage
from shared.database import Database
from shared.features import Feature
from shared.storage import Storage
from shared.tables import datasets
from tests.factories import make_dataset
from worker import extractors as extractor_names
from worker import recordings
from worker.neighbours import as_text
from worker.recordings import Track


def contents_of(keys: Sequence[str]) -> list[str]:
    """The content of each track of that key, unless a test gives others."""
    return [hashlib.sha256(key.encode()).hexdigest() for key in keys]


def make_audio(
    database: Database,
    files: Storage,
    tenant: str,
    keys: Sequence[str],
    *,
    columns: Mapping[str, Any] | None = None,
    contents: Sequence[str] | None = None,
    faulty: Sequence[str] = (),
    part_rows: int | None = None,
    **values: Any,
) -> str:
    """A ready dataset of audio of which nothing is heard yet, in one file or in several of `part_rows`."""
    contents = contents or contents_of(keys)
    tracks = [
        _track(number, key, content, fault="audio_corrupt" if key in faulty else None)
        for number, (key, content) in enumerate(zip(keys, contents, strict=True))
    ]
    manifest = {"file": [f"{key}.wav" for key in keys], **(columns or {})}
    table = pa.table({**manifest, **recordings.columns(tracks)})
    with database.transaction() as sql:
        dataset = make_dataset(sql, tenant, format="audio", rows=len(keys), **values)
        features.name_tracks(sql, tenant, dataset, contents)
    parts = [
        _put(files, tenant, dataset, number, table.slice(first, part_rows))
        for number, first in enumerate(range(0, len(keys), part_rows or len(keys)))
    ]
    # Beside the tables lie other files, which are none.
    change(database, dataset, parts=[*parts, {"name": "tracks.jsonl", "key": "nowhere", "sha256": "0" * 64}])
    return dataset


def change(database: Database, dataset: str, **values: Any) -> None:
    with database.transaction() as sql:
        sql.execute(update(datasets).where(datasets.c.id == dataset).values(values))


def _track(number: int, key: str, content: str, *, fault: str | None) -> Track:
    return Track(
        number=number, key=key, file=f"{key}.wav", upload=content, content=content, start_s=None, end_s=None,
        duration_s=30.0, same_as=number, fault=fault, reason=fault,
    )  # fmt: skip


def _put(files: Storage, tenant: str, dataset: str, number: int, table: pa.Table) -> dict[str, Any]:
    name = f"part-{number:05}.parquet"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        pq.write_table(table, path)
        key = f"{storage.dataset_folder(tenant, dataset)}parts/1/{name}"
        stored = files.put_file(key, path)
    return {"name": name, "key": key, "size_bytes": stored.size_bytes, "sha256": stored.sha256}


def hear(
    database: Database,
    tenant: str,
    contents: Sequence[str],
    means: np.ndarray,
    extractors: Sequence[str] = extractor_names.EMBEDDING,
) -> None:
    """Keep what the networks made of these contents: means (tracks, 400) float32, 200 of each network."""
    new = [
        Feature(content, name, {"windows": 3, "mean": as_text(half)})
        for content, mean in zip(contents, means, strict=True)
        for name, half in zip(extractor_names.EMBEDDING, np.split(mean, 2), strict=True)
        if name in extractors
    ]
    with database.transaction() as sql:
        features.keep(sql, tenant, new)


def random_means(tracks: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(tracks, 400)).astype(np.float32)


def cosines(means: np.ndarray) -> np.ndarray:
    """Of each with each, in double precision: the oracle."""
    wide = means.astype(np.float64)
    lengths = np.sqrt((wide**2).sum(axis=1))
    found: np.ndarray = (wide @ wide.T) / np.outer(lengths, lengths)
    return found
