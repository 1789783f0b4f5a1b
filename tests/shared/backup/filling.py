"""Rows in every table that there is, with the files that they name; and what a database and a storage hold."""

import hashlib
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    Integer,
    Text,
    cast,
    create_engine,
    insert,
    inspect,
    make_url,
    null,
    select,
)

from shared.backup import engines
from shared.database import Database
from shared.sealed_columns import SealedJson, is_sealed
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import jobs, metadata

ROWS = 3
FAR_AWAY = 9e9
# What is the same on both.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
into_sqlite = pytest.mark.parametrize("elsewhere", ["sqlite"], indirect=True)


def fill(database: Database, storage: Storage) -> None:
    """Some rows in every table that there is; a new table gets its rows by itself."""
    for key in stored_keys():
        storage.put(key, [key.encode()])
    with database.transaction() as sql:
        for table in metadata.sorted_tables:
            for number in range(ROWS):
                sql.execute(insert(table).values({each.name: make_value(each, number) for each in table.columns}))


def stored_keys() -> list[str]:
    return [f"t/ten/{name}/{number}" for name in ("key", "files", "parts", "checkpoint") for number in range(ROWS)]


def make_value(column: Column[Any], number: int) -> Any:
    """Something that fits the column, and another thing in each row."""
    if column.foreign_keys:
        return make_value(next(iter(column.foreign_keys)).column, number)
    chosen = {
        "erasures.kind": ["dataset", "listener", "track"][number],
        "erasures.models": ["keep", "delete", "retrain"][number],
        "erasures.state": "done",
        "outputs.key": f"t/ten/key/{number}",
        "outputs.sha256": file_of("key", number)["sha256"],
        "dataset_files.key": f"t/ten/key/{number}",
        "dataset_files.sha256": file_of("key", number)["sha256"],
        "datasets.state": "ready",
        "datasets.parts": [null(), [], [file_of("parts", number)]][number],
        "versions.files": [file_of("files", number)],
        "jobs.state": ["succeeded", "queued", "running"][number],
        "jobs.lease_until": [None, None, FAR_AWAY][number],
        "score_chunks.state": ["open", "done", "running"][number],
        "score_chunks.lease_until": [None, None, FAR_AWAY][number],
        "schedules.state": "active",
        "schedules.overlap": "skip",
        "schedules.misfire": "once",
        "webhooks.state": "active",
        "deliveries.state": "waiting",
        "label_decisions.decision": ["accept", "reject", "accept"][number],
        "rights_entries.commercial": ["yes", "no", "unknown"][number],
        "rights_entries.consent": ["granted", "refused", "unknown"][number],
        "jobs.checkpoint": [null(), JSON.NULL, {**file_of("checkpoint", 2), "before": None}][number],
    }
    if f"{column.table.name}.{column.name}" in chosen:
        return chosen[f"{column.table.name}.{column.name}"]
    if isinstance(column.type, JSON | SealedJson):
        return [null() if column.nullable else [], JSON.NULL, {"é": [1.10, None, "\u2028"]}][number]
    for sort, value in ((Boolean, number == 1), (Integer, number), (Double, number + 0.1)):
        if isinstance(column.type, sort):
            return value
    return f"{column.name}-{number}"


def file_of(name: str, number: int) -> dict[str, Any]:
    key = f"t/ten/{name}/{number}"
    return {"name": name, "key": key, "size_bytes": len(key), "sha256": hashlib.sha256(key.encode()).hexdigest()}


def content(settings: Settings) -> dict[str, list[Any]]:
    """Every row of every table, JSON to the sign; of a lease only whether there is one."""
    with engines.snapshot(make_url(settings.database_url)) as sql:
        return {
            table.name: sorted(map(tuple, sql.execute(select(*map(shown, table.columns)))), key=repr)
            for table in metadata.sorted_tables
        }


def shown(column: Column[Any]) -> Any:
    if column is jobs.c.lease_until:
        return column.is_not(None)
    # Sealed cells as they lie: no two sealings of a text are alike.
    return cast(column, Text) if isinstance(column.type, JSON) or is_sealed(column) else column


def files_of(settings: Settings) -> dict[str, bytes]:
    store = Storage(settings)
    return {key: store.get(key) for key in store.keys("t/")}


def tables_of(settings: Settings) -> list[str]:
    engine = create_engine(settings.database_url)
    found = inspect(engine).get_table_names()
    engine.dispose()
    return found
