"""Rows of text become events, or are left out with their file, row, column and reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker.interactions import rows
from worker.interactions.rows import Events, LeftOut

NOW_S = 1_800_000_000.0
ROLES = {"user": "who", "item": "what", "weight": "n", "time": "at", "context": "where"}


def read(
    folder: Path, columns: Mapping[str, Sequence[str | None]], *, files: list[tuple[str, int]] | None = None
) -> tuple[Events, LeftOut]:
    table = pa.table({ROLES[role]: pa.array(column, pa.string()) for role, column in columns.items()})
    pq.write_table(table, folder / "t.parquet")
    roles = {role: ROLES[role] for role in columns}
    return rows.read(folder / "t.parquet", roles, files or [("a.csv", table.num_rows)], now_s=NOW_S)


def left_out(folder: Path, **cells: str | None) -> list[Any]:
    """What is said of one row with these cells among good ones."""
    good = {"user": "u", "item": "i", "weight": "1", "time": "2024-01-01"}
    columns = {role: [cell, cells.get(role, cell)] for role, cell in good.items()}
    events, lost = read(folder, columns)
    assert len(events.user) + len(lost.faults) == 2
    return [(fault.code, fault.file, fault.row, fault.column, fault.message) for fault in lost.faults]


def test_every_cell_is_read(tmp_path: Path) -> None:
    events, lost = read(
        tmp_path,
        {
            "user": ["b", " a ", "b"], "item": ["7", "x", "7"], "weight": ["2", "0.5", "1e3"],
            "time": ["2024-01-01", "2024-01-02", "2024-01-03"], "context": ["car", None, " "],
        },
    )  # fmt: skip

    assert lost.counts == {}
    assert ([events.users[code] for code in events.user], [events.items[code] for code in events.item]) == (
        ["b", "a", "b"], ["7", "x", "7"]
    )  # fmt: skip
    assert events.weight.tolist() == [2.0, 0.5, 1000.0]
    assert events.time is not None
    assert np.diff(events.time).tolist() == [86_400.0, 86_400.0]
    assert events.context is not None
    assert (events.context.words, events.context.codes.tolist()) == (["car"], [0, -1, -1])


def test_without_weights_each_event_counts_one(tmp_path: Path) -> None:
    events, _ = read(tmp_path, {"user": ["a", "a"], "item": ["x", "y"]})

    assert (events.weight.tolist(), events.time, events.context) == ([1.0, 1.0], None, None)


@pytest.mark.parametrize("weight", [None, "", "NaN", "inf", "-inf", "0", "-3", "1e10", "often", "1,5", "1_000"])
def test_a_weight_that_is_none_is_left_out(tmp_path: Path, weight: str | None) -> None:
    received = "" if weight else ", received none"

    assert left_out(tmp_path, weight=weight) == [
        ("weight_invalid", "a.csv", 1, "n", f"expected a number above 0 and at most 1,000,000,000{received}")
    ]


@pytest.mark.parametrize("time", [None, "yesterday", "1850-01-01", "-99999999999", "inf"])
def test_a_time_that_is_none_is_left_out(tmp_path: Path, time: str | None) -> None:
    ((code, _, row, column, said),) = left_out(tmp_path, time=time)

    assert (code, row, column) == ("time_invalid", 1, "at")
    assert said.endswith("received none" if time is None else "seconds since 1970")


@pytest.mark.parametrize(("time", "is_kept"), [(NOW_S + 86_000, True), (NOW_S + 86_500, False), (4e9, False)])
def test_a_time_more_than_a_day_ahead_is_left_out(tmp_path: Path, time: float, *, is_kept: bool) -> None:
    found = left_out(tmp_path, time=str(time))

    assert [code for code, *_ in found] == ([] if is_kept else ["time_in_future"])


@pytest.mark.parametrize("role", ["user", "item"])
@pytest.mark.parametrize(("cell", "code"), [(None, "id_missing"), ("  ", "id_missing"), ("x" * 1025, "id_too_long")])
def test_an_id_that_names_nobody_is_left_out(tmp_path: Path, role: str, cell: str | None, code: str) -> None:
    ((found, _, row, column, said),) = left_out(tmp_path, **{role: cell})

    assert (found, row, column) == (code, 1, ROLES[role])
    # An id may be a person's: it is not repeated.
    assert "xxx" not in said


@pytest.mark.parametrize("role", ["weight", "time"])
def test_a_cell_is_told_to_nobody(tmp_path: Path, role: str) -> None:
    cells = {"user": ["u", "u"], "item": ["x", "x"], role: ["1", "alice@x.com"]}

    _, lost = read(tmp_path, cells)

    assert [(fault.row, "expected" in fault.message, "alice" in fault.message) for fault in lost.faults] == [
        (1, True, False)
    ]  # fmt: skip


def test_of_users_and_items_no_cell_is_told_to_anybody(tmp_path: Path) -> None:
    long = "alice@x.com" * 100

    _, lost = read(tmp_path, {"user": ["u", long, " "], "item": [long, "x", "x"]})

    assert [fault.message.partition("received ")[2] for fault in lost.faults] == [
        "one of 1,100",
        "one of 1,100",
        "none",
    ]


def test_a_row_is_told_by_its_file(tmp_path: Path) -> None:
    _, lost = read(
        tmp_path,
        {"user": ["a"] * 5, "item": ["x"] * 5, "weight": ["1", "no", "1", "1", "no"]},
        files=[("a.csv", 2), ("b.csv", 0), ("c.csv", 3)],
    )

    assert [(fault.file, fault.row) for fault in lost.faults] == [("a.csv", 1), ("c.csv", 2)]


def test_all_are_counted_and_the_first_hundred_are_told(tmp_path: Path) -> None:
    count = 70_000
    _, lost = read(tmp_path, {"user": ["a"] * count, "item": ["x", None] * (count // 2)})

    assert lost.counts == {"id_missing": count // 2}
    assert [fault.row for fault in lost.faults] == list(range(1, 201, 2))


def test_batches_follow_each_other(tmp_path: Path) -> None:
    count = 200_000
    users = [f"u{place % 3}" for place in range(count)]
    events, _ = read(tmp_path, {"user": users, "item": [f"i{place % 70_001}" for place in range(count)]})

    assert [events.users[code] for code in events.user.tolist()] == users
    assert len(events.items) == 70_001
