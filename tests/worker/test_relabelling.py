"""Other labels in a table, in the way in which it has labels."""

from typing import Any

import pyarrow as pa
import pytest

from worker import relabelling

Json = dict[str, Any]


def relabel(columns: Json, labels: Json, *, first: int = 0, separator: str | None = None) -> tuple[Json, int]:
    target = {"columns": list(columns), "separator": separator}
    batch, changed = relabelling.relabel(pa.RecordBatch.from_pydict(columns), first, target, labels)
    return batch.to_pydict(), changed


@pytest.mark.parametrize(
    ("cells", "label", "after"),
    [(["pop", "rock"], "jazz", ["pop", "jazz"]), ([1, 2], "-3", [1, -3]), ([1.0, 2.0], "3", [1.0, 3.0]),
     ([True, True], "false", [True, False])],
)  # fmt: skip
def test_a_label_is_of_the_columns_own_sort(cells: list[Any], label: str, after: list[Any]) -> None:
    assert relabel({"genre": cells}, {1: label}) == ({"genre": after}, 1)


def test_rows_are_counted_from_the_first_of_the_batch() -> None:
    assert relabel({"genre": ["pop", "rock"]}, {10: "jazz", 12: "jazz"}, first=10) == ({"genre": ["jazz", "rock"]}, 1)


def test_a_row_that_has_the_label_already_is_no_change() -> None:
    assert relabel({"genre": ["pop"]}, {0: "pop"})[1] == 0


def test_labels_between_a_separator_keep_their_order_and_new_ones_follow() -> None:
    cells = {"tags": ["rock | live", "live|rock"]}

    found = relabel(cells, {0: ["live", "loud"], 1: ["rock", "live"]}, separator="|")

    assert found == ({"tags": ["live|loud", "live|rock"]}, 1)


@pytest.mark.parametrize(("yes", "no"), [(1, 0), (True, False), ("true", "false"), ("1", "0")])
def test_labels_in_columns_of_their_own_are_set_as_the_column_says_yes(yes: Any, no: Any) -> None:
    found = relabel({"rock": [yes, yes], "live": [no, no]}, {0: ["live"], 1: []})

    assert found == ({"rock": [no, no], "live": [yes, no]}, 2)
