"""The three tables of a dataset of interactions: a row an event, a user, an item; written by its ingest.

Places instead of names stand in the events, so that ten million of them are some hundred megabytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from worker import tables
from worker.formats import canonical
from worker.formats.source import ROWS_A_BATCH
from worker.tables import MISSING, Texts

# In this order: desk.fetch_parts answers in the one in which they were written.
EVENTS, USERS, ITEMS = "events.parquet", "users.parquet", "items.parquet"
# Before the names of the item table's columns, which may be those of ours.
COLUMN = "column:"


@dataclass(frozen=True)
class Interactions:
    """Who has played what, how much and when; users and items are named by their places."""

    users: list[str]  # sorted; ids are always text
    items: list[str]  # sorted; also those of the item table that nobody has played
    user: np.ndarray  # int32 (events,), places in users; events are sorted by user, then time, then item
    item: np.ndarray  # int32 (events,), places in items
    weight: np.ndarray  # float64 (events,), finite, above 0
    time: np.ndarray | None  # float64 (events,), seconds since 1970; None where the dataset has no time column
    context: Texts | None  # a code an event; None without the column
    # A row an item in the order of `items`: the item table's columns without its id (text, number, boolean; dates as
    # text). No columns where there was no item table.
    catalogue: pa.Table
    # Bool (items,): those that the item table has; None where there was no item table.
    listed: np.ndarray | None = None


def empty_catalogue(items: int) -> pa.Table:
    """So many rows of no column."""
    return pa.table({"": pa.nulls(items)}).select([])


def take(catalogue: pa.Table, rows: np.ndarray | pa.Array) -> pa.Table:
    """These rows of a catalogue, empty where the place is null; Arrow forgets how many they are without a column."""
    if catalogue.num_columns == 0:
        return empty_catalogue(len(rows))
    return catalogue.take(pa.array(rows, pa.int64()))


def write(folder: Path, interactions: Interactions) -> list[Path]:
    """Write the three tables; the same interactions always become the same bytes."""
    kinds = {"user": pa.int32(), "item": pa.int32(), "weight": pa.float64()}
    if interactions.time is not None:
        kinds["time"] = pa.float64()
    if interactions.context is not None:
        kinds["context"] = pa.string()
    _write(folder / EVENTS, pa.schema(list(kinds.items())), _event_batches(interactions, pa.schema(kinds)))
    users = pa.table({"user": pa.array(interactions.users, pa.string())})
    _write(folder / USERS, users.schema, users.to_batches(ROWS_A_BATCH))
    items = _item_table(interactions)
    _write(folder / ITEMS, items.schema, items.to_batches(ROWS_A_BATCH))
    return [folder / EVENTS, folder / USERS, folder / ITEMS]


def load(paths: Sequence[Path]) -> Interactions:
    """Every event, user and item, from the files as `write` has returned them."""
    events, users, items = paths
    table = pq.read_table(items)
    named = [name for name in table.column_names if name.startswith(COLUMN)]
    listed = table.column("listed").to_numpy() if "listed" in table.column_names else None
    catalogue = table.select(named).rename_columns([name.removeprefix(COLUMN) for name in named])
    has = set(tables.schema([events]))
    return Interactions(
        users=pq.read_table(users).column("user").to_pylist(),
        items=table.column("item").to_pylist(),
        user=_numbers(events, "user", np.int32),
        item=_numbers(events, "item", np.int32),
        weight=_numbers(events, "weight", np.float64),
        time=_numbers(events, "time", np.float64) if "time" in has else None,
        context=_words(events, "context") if "context" in has else None,
        catalogue=catalogue if named else empty_catalogue(table.num_rows),
        listed=listed,
    )


def _write(path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch]) -> None:
    for _ in canonical.write(path, schema, batches):
        pass


def _event_batches(interactions: Interactions, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    context = interactions.context
    words = None if context is None else pa.array([*context.words, None], pa.string())
    for first in range(0, len(interactions.user), ROWS_A_BATCH):
        rows = slice(first, first + ROWS_A_BATCH)
        columns = [pa.array(each[rows]) for each in (interactions.user, interactions.item, interactions.weight)]
        if interactions.time is not None:
            columns.append(pa.array(interactions.time[rows]))
        if context is not None and words is not None:
            codes = np.where(context.codes[rows] == MISSING, len(context.words), context.codes[rows])
            columns.append(words.take(pa.array(codes)))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _item_table(interactions: Interactions) -> pa.Table:
    columns = {"item": pa.array(interactions.items, pa.string())}
    if interactions.listed is not None:
        columns["listed"] = pa.array(interactions.listed)
    for name in interactions.catalogue.column_names:
        columns[COLUMN + name] = interactions.catalogue.column(name)
    return pa.table(columns)


def _numbers(path: Path, name: str, kind: type[np.generic]) -> np.ndarray:
    return pq.read_table(path, columns=[name]).column(0).to_numpy().astype(kind, copy=False)


def _words(path: Path, name: str) -> Texts:
    column = tables.read([path], [name])[name]
    if not isinstance(column, Texts):
        raise TypeError(f"expected words in {name}")
    return column
