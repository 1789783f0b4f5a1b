"""Item tables: read, laid over an earlier one, and put in the order of the items."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.worker import plays
from worker.interactions import catalogue
from worker.interactions.catalogue import ItemTable


def write(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def test_the_last_row_of_an_item_counts(tmp_path: Path) -> None:
    path = write(tmp_path, id=["a", "b", " a "], year=[1, 2, 3])

    table, left_out = catalogue.read(path, "id", [("items.csv", 3)])

    assert (table.items, table.columns.to_pydict(), table.repeated) == (["a", "b"], {"year": [3, 2]}, 1)
    assert left_out.counts == {}


def test_a_row_without_an_id_is_left_out_and_told_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, id=["a", None, "b", " ", "x" * 1025], year=[1, 2, 3, 4, 5])

    table, left_out = catalogue.read(path, "id", [("items-1.csv", 2), ("items-2.csv", 3)])

    assert table.items == ["a", "b"]
    assert left_out.counts == {"id_missing": 3}
    assert [(fault.file, fault.row, fault.column) for fault in left_out.faults] == [
        ("items-1.csv", 1, "id"), ("items-2.csv", 1, "id"), ("items-2.csv", 2, "id")
    ]  # fmt: skip


def test_a_table_of_ids_alone_has_rows_and_no_column(tmp_path: Path) -> None:
    table, _ = catalogue.read(write(tmp_path, id=["b", "a", "b"]), "id", [("items.csv", 3)])

    arranged, listed = catalogue.arrange(table, ["a", "b", "c"])

    assert (arranged.num_rows, arranged.num_columns, listed.tolist()) == (3, 0, [True, True, False])


def test_a_later_table_takes_the_place_of_the_same_items_and_may_have_other_columns() -> None:
    earlier = ItemTable(["a", "b"], pa.table({"artist": ["A", "B"], "year": [1, 2]}))
    later = ItemTable(["b", "c"], pa.table({"year": ["two", "three"], "tags": ["t", None]}))

    joined = catalogue.join(earlier, later)

    assert joined is not None
    assert joined.items == ["a", "b", "c"]
    assert joined.columns.to_pydict() == {
        "artist": ["A", None, None], "year": ["1", "two", "three"], "tags": [None, "t", None]
    }  # fmt: skip


def test_whole_and_other_numbers_stay_numbers() -> None:
    joined = catalogue.concatenate(pa.table({"x": [1, 2]}), pa.table({"x": [0.5]}))

    assert joined.to_pydict() == {"x": [1.0, 2.0, 0.5]}


def test_tables_of_ids_alone_are_joined() -> None:
    one, other = (ItemTable([item], pa.table({"": [0]}).select([])) for item in "ab")

    joined = catalogue.join(one, other)

    assert joined is not None
    assert (joined.items, joined.columns.num_rows) == (["a", "b"], 2)


def test_the_table_of_a_version_is_what_it_was_given() -> None:
    made = plays.make(20, 30)
    interactions = plays.interactions(made)

    table = catalogue.of(interactions)

    assert table is not None
    assert table.items == made.items["item"]
    assert table.columns.column("artist").to_pylist() == made.items["artist"]
    assert catalogue.of(plays.interactions(made, catalogue=False)) is None
    assert np.count_nonzero(interactions.listed) == 30
