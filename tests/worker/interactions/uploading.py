"""Datasets of interactions as a client makes them: uploaded, ingested by a real child, looked at as they are stored."""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Row, update

from shared import datasets, jobs, pseudonyms
from shared import storage as places
from shared.tables import jobs as job_table
from tests.worker import working
from worker import runner
from worker.interactions import stored
from worker.interactions.stored import Interactions
from worker.runner import Post

Json = dict[str, Any]

# Of each pseudonym that an upload may come to, whose it is: nobody but a test could make such a list.
NAMES: dict[str, str] = {}


def begin(
    post: Post,
    tenant: str,
    files: Mapping[str, bytes],
    *,
    base: str | None = None,
    name: str = "plays",
    **columns: Any,
) -> tuple[str, str]:
    """Upload and commit; returns the ids of the dataset and of its ingest, which waits in the queue."""
    with post.database.transaction() as sql:
        row = datasets.create(sql, tenant, name=name, format="interactions", columns=columns, base=base)
    for place, (file, content) in enumerate(files.items()):
        _learn_names(post, tenant, name, content)
        key = places.dataset_file(tenant, row.id, f"file-{place}")
        kept = post.storage.put(key, [content])
        with post.database.transaction() as sql:
            datasets.add_file(sql, tenant, row.id, name=file, key=key, stored=kept)
    with post.database.transaction() as sql:
        return str(row.id), datasets.begin_ingest(sql, tenant, row.id)


def ingest(post: Post, tenant: str, files: Mapping[str, bytes], **rest: Any) -> tuple[Row[Any], Row[Any]]:
    """Upload, commit, ingest; returns the rows of the dataset and of the job."""
    dataset, job = begin(post, tenant, files, **rest)
    runner.run(post, "light", only_tenant=None)
    return find(post, tenant, dataset), working.find(post, job)


def find(post: Post, tenant: str, dataset: str) -> Row[Any]:
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, dataset)


def loaded(post: Post, row: Row[Any], folder: Path) -> Interactions:
    """What a dataset holds, its users by the names of the uploads and in their order."""
    found = as_it_lies(post, row, folder)
    names = [NAMES.get(user, user) for user in found.users]
    users = sorted(names)
    place = {name: number for number, name in enumerate(users)}
    user = np.array([place[name] for name in names], np.int32)[found.user]
    order = np.argsort(user, kind="stable")
    context = found.context and replace(found.context, codes=found.context.codes[order])
    return replace(
        found, users=users, user=user[order], item=found.item[order], weight=found.weight[order],
        time=None if found.time is None else found.time[order], context=context,
    )  # fmt: skip


def as_it_lies(post: Post, row: Row[Any], folder: Path) -> Interactions:
    """What a dataset holds."""
    paths = []
    for part in row.parts:
        paths.append(folder / f"{row.id}-{row.sha256[:8]}-{part['name']}")
        paths[-1].write_bytes(post.storage.get(part["key"]))
    return stored.load(paths)


def _learn_names(post: Post, tenant: str, dataset_name: str, content: bytes) -> None:
    if content.startswith(b"PAR1"):
        columns = pq.read_table(io.BytesIO(content)).columns
        cells = {cell for column in columns for cell in pc.unique(column).to_pylist()}
        words = {f"{cell:.15g}" if isinstance(cell, float) else str(cell) for cell in cells}
    else:
        words = {word.strip() for word in re.split(r"[,\r\n]", content.decode(errors="replace"))}
    for word in words:
        NAMES[pseudonyms.of(post.settings.pepper, tenant, dataset_name, word)] = word


def rows(interactions: Interactions) -> list[tuple[Any, ...]]:
    """User, item, weight and, where there are such, time and context of every event."""
    found = []
    for place in range(len(interactions.user)):
        event: list[Any] = [
            interactions.users[interactions.user[place]],
            interactions.items[interactions.item[place]],
            float(interactions.weight[place]),
        ]
        if interactions.time is not None:
            event.append(float(interactions.time[place]))
        if interactions.context is not None:
            code = int(interactions.context.codes[place])
            event.append(None if code < 0 else interactions.context.words[code])
        found.append(tuple(event))
    return found


def parquet(columns: Mapping[str, Any]) -> bytes:
    """A Parquet file of these columns."""
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    return sink.getvalue()


def erase(post: Post, tenant: str, row: Row[Any], user: str, *, retrain: bool = False) -> str:
    """Ask for a listener to be erased, as the door does; returns the job that waits."""
    pseudonym = pseudonyms.of(post.settings.pepper, tenant, row.name, user)
    params = {"user": pseudonym, "retrain": retrain}
    new = jobs.NewJob(tenant=tenant, action="erase", queue="light", datasets=[row.id], params=params)
    with post.database.transaction() as sql:
        return str(jobs.submit(sql, new).id)


def hurry(post: Post, job: str) -> None:
    """A job that is to be tried again later may be tried now."""
    with post.database.transaction() as sql:
        sql.execute(update(job_table).where(job_table.c.id == job).values(run_after=0))
