"""The datasets of audio that questions are about, in memory: what is known of their tracks, and the manifest's columns.

Read from the table in storage and from SQL, and kept while they are asked for.
"""

import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, func, select

from shared import datasets, features
from shared.audio_params import EMBEDDING_SIZE
from shared.errors import EtudeError, NotAllowedNow
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import features as feature_table
from shared.tables import tracks as track_table
from worker import extractors
from worker.manifest import PREFIX
from worker.neighbours import Catalogue, from_text, unit
from worker.recordings import KEY, SCHEMA
from worker.tables import BATCH_ROWS

# 100,000 tracks, as many as a dataset takes, are 160 MB of vectors.
MOST_BYTES = 512 * 1024 * 1024
CONTENT, FAULT = f"{PREFIX}content", f"{PREFIX}fault"
PART_SUFFIX = ".parquet"

Json = dict[str, Any]


class Columns(Mapping[str, Sequence[Any]]):
    """The manifest's columns, decoded when they are asked for: as objects of Python they take ten times as much."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __getitem__(self, name: str) -> list[Any]:  # Any: cells of the manifest
        return [cell for chunk in self._table.column(name).chunks for cell in _cells(chunk)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)

    def row(self, place: int) -> Json:
        """What the manifest says of one track."""
        return {name: self._table.column(name)[place].as_py() for name in self}


def _cells(chunk: pa.Array) -> list[Any]:  # Any: cells of the manifest
    if not pa.types.is_dictionary(chunk.type):
        return list(chunk.to_pylist())
    # Arrow decodes a dictionary's cells one by one, at five times the cost.
    words = chunk.dictionary.to_pylist()
    return [None if place is None else words[place] for place in chunk.indices.to_pylist()]


@dataclass
class Held:
    """A catalogue in memory: its tracks' places by key, and the places of what is not heard yet, by content."""

    catalogue: Catalogue
    columns: Columns
    places: dict[str, int]
    lacking: dict[str, list[int]]
    size_bytes: int
    heard: int = 0  # tracks that can be found
    known: int | None = 0  # features of its tracks, when they were last counted


class Catalogues:
    """Those that were asked for last, as many as fit."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder
        self._held: OrderedDict[str, Held] = OrderedDict()
        # Which content of a dataset that is: an erasure of a recording leaves another.
        self._sha256: dict[str, str] = {}

    def find(self, sql: Connection, row: Row[Any]) -> Held:
        """The catalogue of a ready dataset of audio, with all that is known of its tracks by now."""
        if row.id not in self._held or self._sha256[row.id] != row.sha256:
            self.drop(row.id)
            held = self._read(row)
            self._make_room(held.size_bytes)
            self._held[row.id], self._sha256[row.id] = held, row.sha256
        self._held.move_to_end(row.id)
        held = self._held[row.id]
        _learn(sql, row, held)
        return held

    def drop(self, dataset_id: str) -> None:
        """Forget one that is erased."""
        self._held.pop(dataset_id, None)

    def drop_erased(self, sql: Connection) -> None:
        """Forget all that are erased or have lost a track, whether or not they are ever asked for again."""
        chosen = select(dataset_table.c.id, dataset_table.c.sha256).where(
            dataset_table.c.id.in_(list(self._held)), dataset_table.c.state == datasets.READY
        )
        ready = {row.id: row.sha256 for row in sql.execute(chosen)} if self._held else {}
        for dataset_id in list(self._held):
            if ready.get(dataset_id) != self._sha256[dataset_id]:
                self.drop(dataset_id)

    def held(self) -> list[str]:
        """The datasets in memory, the one that was asked for last at the end."""
        return list(self._held)

    def _make_room(self, size_bytes: int) -> None:
        while self._held and size_bytes + sum(held.size_bytes for held in self._held.values()) > MOST_BYTES:
            self._held.popitem(last=False)

    def _read(self, row: Row[Any]) -> Held:
        parts = [part for part in row.parts if part["name"].endswith(PART_SUFFIX)]
        batches: list[pa.RecordBatch] = []
        # The Parquet file says how many rows there are, never how many bytes they take.
        size = 0
        for part in parts:
            for batch in self._batches(part):
                batches.append(batch)
                size += batch.nbytes + batch.num_rows * EMBEDDING_SIZE * 4
                if size > MOST_BYTES:
                    raise _too_large(row)
        return _hold(pa.Table.from_batches(batches), size)

    def _batches(self, part: Json) -> Iterator[pa.RecordBatch]:
        # Without a name, it is gone with its process however that ends.
        with tempfile.TemporaryFile(dir=self._folder) as file:
            self._fetch(part, file)
            schema = pq.read_schema(file)
            texts = [field.name for field in schema if pa.types.is_string(field.type)]
            ours = {f"{PREFIX}{name}" for name in SCHEMA} - {KEY, CONTENT, FAULT}
            # A genre that a thousand tracks share is held once.
            with pq.ParquetFile(file, read_dictionary=texts, pre_buffer=False) as table:
                yield from table.iter_batches(BATCH_ROWS, columns=[name for name in schema.names if name not in ours])

    def _fetch(self, part: Json, file: IO[bytes]) -> None:
        digest = hashlib.sha256()
        for block in self._storage.stream(part["key"]):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != part["sha256"]:
            raise EtudeError(f"The stored file {part['name']} is not what was written: restore it.", code="integrity")


def _too_large(row: Row[Any]) -> NotAllowedNow:
    said = (
        f"{row.name}@{row.version} takes more than {MOST_BYTES:,} bytes of memory, which is the most that is searched "
        "at once: make several datasets of it, or leave out columns of its manifest."
    )
    return NotAllowedNow(said, code="catalogue_too_large")


def _hold(table: pa.Table, size: int) -> Held:
    manifest = Columns(table.select([name for name in table.column_names if not name.startswith(PREFIX)]))
    keys, contents, faults = (Columns(table)[name] for name in (KEY, CONTENT, FAULT))
    lacking: dict[str, list[int]] = {}
    for place, (content, fault) in enumerate(zip(contents, faults, strict=True)):
        # One that cannot be used is heard by no job, and would be looked for in vain at every question.
        if fault is None:
            lacking.setdefault(content, []).append(place)
    vectors = np.zeros((len(keys), EMBEDDING_SIZE), np.float32)
    places = {key: place for place, key in enumerate(keys)}
    return Held(Catalogue(keys, vectors, manifest), manifest, places, lacking, size)


def _learn(sql: Connection, row: Row[Any], held: Held) -> None:
    """Take in what has become known since; what is known of a dataset that is there is never forgotten."""
    contents = list(held.lacking)
    # Of a few, looking is as cheap as counting.
    known = _count_known(sql, row) if len(contents) > features.AT_ONCE else None
    if known is not None and known == held.known:
        return
    for start in range(0, len(contents), features.AT_ONCE):
        _fill(sql, row.tenant, held, contents[start : start + features.AT_ONCE])
    # Last, so that a database that went away half-way is asked for the rest.
    held.known = known


def _count_known(sql: Connection, row: Row[Any]) -> int:
    """How many features of the dataset's tracks there are.

    One look into the primary key for each track: of a join, PostgreSQL makes a walk of hours as long as it has no
    statistics of a table that has just grown.
    """
    of_one = select(func.count()).where(
        feature_table.c.tenant == row.tenant,
        feature_table.c.content == track_table.c.content,
        feature_table.c.extractor.in_(extractors.EMBEDDING),
    )
    each = of_one.correlate(track_table).scalar_subquery()
    chosen = select(func.coalesce(func.sum(each), 0)).where(track_table.c.dataset == row.id)
    return int(sql.execute(chosen).scalar_one())


def _fill(sql: Connection, tenant: str, held: Held, contents: Sequence[str]) -> None:
    halves = [features.find(sql, tenant, name, contents) for name in extractors.EMBEDDING]
    for content in contents:
        if all(content in half for half in halves):
            means = np.concatenate([from_text(half[content].data["mean"]) for half in halves])
            # One that no angle can be taken of would be near to nothing and hide what is.
            if np.isfinite(means).all() and means.any():
                places = held.lacking.pop(content)
                held.catalogue.vectors[places] = unit(means[None])
                held.heard += len(places)
