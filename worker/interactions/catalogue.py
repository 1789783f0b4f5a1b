"""The item table: a row an item, under the ids of the interactions; of two rows of one id the later counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.errors import FAULTS_SHOWN, Fault
from worker.interactions.rows import ID_CHARACTERS, LeftOut
from worker.interactions.stored import Interactions, empty_catalogue, take

TEXT = pa.string()


@dataclass(frozen=True)
class ItemTable:
    """What is known of items; `columns` has a row for each of `items`, which are all different."""

    items: list[str]
    columns: pa.Table
    repeated: int = 0  # rows whose place a later one of the same id took


def read(path: Path, key: str, files: Sequence[tuple[str, int]]) -> tuple[ItemTable, LeftOut]:
    """The rows that name an item, and where the others are."""
    table, left_out = pq.read_table(path), LeftOut()
    ids = pc.utf8_trim_whitespace(pc.cast(table.column(key).combine_chunks(), TEXT))
    is_short = pc.fill_null(pc.less_equal(pc.utf8_length(ids), ID_CHARACTERS), False).to_numpy(zero_copy_only=False)
    is_named = is_short & pc.fill_null(pc.not_equal(ids, ""), False).to_numpy(zero_copy_only=False)
    _note(left_out, np.flatnonzero(~is_named), key, files)
    rows = np.flatnonzero(is_named)
    named = ids.take(pa.array(rows)).to_pylist()
    last = dict(zip(named, rows.tolist(), strict=True))
    kept = take(table.drop_columns([key]), np.array(list(last.values()), np.int64))
    return ItemTable(list(last), kept, len(rows) - len(last)), left_out


def of(interactions: Interactions) -> ItemTable | None:
    """The item table of an earlier version; None where it had none."""
    if interactions.listed is None:
        return None
    rows = np.flatnonzero(interactions.listed)
    return ItemTable([interactions.items[row] for row in rows], take(interactions.catalogue, rows))


def join(earlier: ItemTable | None, later: ItemTable | None) -> ItemTable | None:
    """Both tables with the columns of both; of an id that both have, the later row."""
    if earlier is None or later is None:
        return earlier or later
    columns = concatenate(earlier.columns, later.columns)
    last = {item: row for row, item in enumerate([*earlier.items, *later.items])}
    return ItemTable(list(last), take(columns, np.array(list(last.values()), np.int64)), later.repeated)


def arrange(table: ItemTable, items: Sequence[str]) -> tuple[pa.Table, np.ndarray]:
    """A row for each of these items, empty where the table has none; and which of them it has, bool (items,)."""
    rows = {item: row for row, item in enumerate(table.items)}
    places = [rows.get(item) for item in items]
    listed = np.array([place is not None for place in places], bool)
    return take(table.columns, pa.array(places, pa.int64())), listed


def concatenate(first: pa.Table, second: pa.Table) -> pa.Table:
    """Rows of both under the columns of both; where types differ, as text, but for whole and other numbers."""
    names = list(dict.fromkeys([*first.column_names, *second.column_names]))
    if not names:
        return empty_catalogue(first.num_rows + second.num_rows)
    tables = []
    for table in (first, second):
        columns = {}
        for name in names:
            kind = _common([each.schema.field(name).type for each in (first, second) if name in each.column_names])
            cells = table.column(name) if name in table.column_names else pa.nulls(table.num_rows, kind)
            columns[name] = pc.cast(cells, kind)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    if len(set(kinds)) == 1:
        return kinds[0]
    return pa.float64() if set(kinds) == {pa.int64(), pa.float64()} else TEXT


def _note(left_out: LeftOut, rows: np.ndarray, key: str, files: Sequence[tuple[str, int]]) -> None:
    if not len(rows):
        return
    left_out.counts["id_missing"] += len(rows)
    ends = np.cumsum([count for _, count in files])
    for row in rows[:FAULTS_SHOWN].tolist():
        which = int(np.searchsorted(ends, row, side="right"))
        name, count = files[which]
        said = f"expected the id of an item, of at most {ID_CHARACTERS} characters, received none"
        place = row - int(ends[which]) + count
        left_out.faults.append(Fault(said, file=name, row=place, column=key, code="id_missing"))
