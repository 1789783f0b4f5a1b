"""Datasets of interactions as a client makes them: uploaded, ingested by a real child, looked at as they are stored."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
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
    """What a dataset holds."""
    paths = []
    for part in row.parts:
        paths.append(folder / f"{row.id}-{row.sha256[:8]}-{part['name']}")
        paths[-1].write_bytes(post.storage.get(part["key"]))
    return stored.load(paths)


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
