"""Tables as clients upload them, and what is left of datasets that have lost rows."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Row, select

from shared import datasets, receipts
from shared import storage as places
from shared.tables import erasures as erasure_table
from shared.tables import events
from shared.tables import jobs as job_table
from tests.worker import working
from worker import runner
from worker.runner import Post

Json = dict[str, Any]


def ingest(post: Post, tenant: str, files: Mapping[str, bytes], **rest: Any) -> tuple[Row[Any], Row[Any]]:
    """A table that a client has uploaded; returns the rows of the dataset and of its ingest."""
    dataset, job = upload(post, tenant, files, **rest)
    runner.run(post, "light", only_tenant=None)
    return find(post, tenant, dataset), working.find(post, job)


def upload(
    post: Post,
    tenant: str,
    files: Mapping[str, bytes],
    *,
    base: str | None = None,
    name: str = "songs",
    format: str = "table",
    **columns: Any,
) -> tuple[str, str]:
    """An uploaded and committed table, or dataset of another format; returns its id and its ingest's."""
    with post.database.transaction() as sql:
        row = datasets.create(sql, tenant, name=name, format=format, columns=columns, base=base)
    for place, (file, content) in enumerate(files.items()):
        key = places.dataset_file(tenant, row.id, f"file-{row.id}-{place}")
        stored = post.storage.put(key, [content])
        with post.database.transaction() as sql:
            datasets.add_file(sql, tenant, row.id, name=file, key=key, stored=stored)
    with post.database.transaction() as sql:
        return row.id, datasets.begin_ingest(sql, tenant, row.id)


def find(post: Post, tenant: str, dataset: str) -> Row[Any]:
    with post.database.reading() as sql:
        return datasets.find(sql, tenant, dataset)


def rows(post: Post, row: Row[Any]) -> list[Json]:
    """The rows of a dataset's table."""
    (part,) = [part for part in row.parts if part["name"].endswith(".parquet")]
    found: list[Json] = pq.read_table(pa.BufferReader(post.storage.get(part["key"]))).to_pylist()
    return found


def files(post: Post, row: Row[Any]) -> list[str]:
    """The names of its uploads."""
    with post.database.reading() as sql:
        return [file.name for file in datasets.files(sql, row.id)]


def receipt_of(post: Post, row: Row[Any]) -> Any:
    """The receipt of an erasure that is done, verified."""
    assert row.state == "done", working.find(post, row.job).error
    store = post.storage.open_keys().store
    assert receipts.is_signed(receipts.public_key(store), row.receipt, row.signature)
    return row.receipt


def told(post: Post) -> str:
    """All that SQL says of datasets, jobs and erasures."""
    tables = (datasets.datasets, datasets.dataset_files, job_table, events, erasure_table)
    with post.database.reading() as sql:
        found = [dict(each) for table in tables for each in sql.execute(select(table)).mappings()]
    return json.dumps(found, default=str)


def remains(receipt: Json) -> dict[str, str]:
    return {each["what"]: each["why"] for each in receipt["remains"]}


def once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, then: Callable[[], object]) -> None:
    """Have something happen right after a function of a module has been called for the first time."""
    real, done = getattr(module, name), []

    def wrapped(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        if not done:
            done.append(True)
            then()
        return answer

    monkeypatch.setattr(module, name, wrapped)
