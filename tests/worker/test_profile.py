"""The profile: the same figures whatever the batches, in memory that does not grow with the rows."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from worker import figures, hashes, profile, roles
from worker.formats.scratch import Scratch
from worker.profile import TableProfile


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Scratch]:
    with Scratch(tmp_path) as opened:
        yield opened


def describe(scratch: Scratch, table: pa.Table, *, batch_rows: int = 1000, **columns: Any) -> dict[str, Any]:
    types = {field.name: field.type for field in table.schema}
    learned = TableProfile(types, roles.assign(list(types), columns), scratch)
    for start in range(0, len(table), batch_rows):
        learned.take(table.slice(start, batch_rows))
    said: dict[str, Any] = json.loads(json.dumps(learned.as_json(), allow_nan=False))
    return said


def column(said: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in said["columns"] if each["name"] == name)


def codes(said: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in said["warnings"]}


def test_a_profile_has_the_shape_that_everybody_reads(scratch: Scratch) -> None:
    table = pa.table(
        {
            "piece": ["p", "q", "r", "s"],
            "tempo": [1.0, None, 2.0, 3.0],
            "bars": [4, 4, 8, None],
            "live": [True, False, None, True],
            "genre": ["rock", "pop", "rock", None],
        }
    )

    said = describe(scratch, table)

    assert said == {
        "rows": 4,
        "columns": [
            {"name": "piece", "type": "text", "missing": 0, "distinct": 4, "constant": False,
             "top": [["p", 1], ["q", 1], ["r", 1], ["s", 1]]},
            {"name": "tempo", "type": "number", "missing": 1, "distinct": 3, "constant": False,
             "min": 1.0, "max": 3.0, "mean": 2.0, "std": pytest.approx(math.sqrt(2 / 3))},
            {"name": "bars", "type": "integer", "missing": 1, "distinct": 2, "constant": False,
             "min": 4, "max": 8, "mean": pytest.approx(16 / 3), "std": pytest.approx(math.sqrt(32 / 9)),
             "top": [["4", 2], ["8", 1]]},
            {"name": "live", "type": "boolean", "missing": 1, "distinct": 2, "constant": False,
             "top": [["true", 2], ["false", 1]]},
            {"name": "genre", "type": "text", "missing": 1, "distinct": 2, "constant": False,
             "top": [["rock", 2], ["pop", 1]]},
        ],
        "roles": {"target": ["genre"], "group": None, "id": "piece", "mask": [], "drop": []},
        "duplicates": 0,
        "classes": {"rock": 2, "pop": 1},
        "warnings": said["warnings"],
    }  # fmt: skip
    assert codes(said) == {"target_inferred", "id_inferred", "target_missing_cells", "class_of_one_row"}


def test_figures_do_not_depend_on_the_batches(scratch: Scratch) -> None:
    values = np.random.default_rng(1).normal(1e6, 3.0, 50_000)
    table = pa.table({"a": pa.array(values, mask=values > 1e6 + 9), "b": (values * 10).astype(np.int64) % 1500})

    whole, parts = (describe(scratch, table, batch_rows=rows) for rows in (50_000, 777))

    kept = values[values <= 1e6 + 9]
    assert column(parts, "a")["mean"] == pytest.approx(kept.mean(), rel=1e-12)
    assert column(parts, "a")["std"] == pytest.approx(kept.std(), rel=1e-9)
    assert (column(parts, "a")["min"], column(parts, "a")["max"]) == (kept.min(), kept.max())
    assert column(parts, "b")["distinct"] == column(whole, "b")["distinct"]
    assert parts["duplicates"] == whole["duplicates"]


@pytest.mark.parametrize("distinct", [1, 999, 1000])
@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string()])
def test_up_to_a_thousand_values_are_counted_exactly(scratch: Scratch, distinct: int, kind: pa.DataType) -> None:
    table = pa.table({"a": pa.array(np.arange(5000) % distinct).cast(kind)})

    said = column(describe(scratch, table), "a")

    assert said["distinct"] == distinct
    assert "distinct_is_estimate" not in said
    assert said["constant"] is (distinct == 1)


@pytest.mark.parametrize("distinct", [1001, 20_000, 150_000])
@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string()])
def test_more_values_are_estimated_within_five_percent(scratch: Scratch, distinct: int, kind: pa.DataType) -> None:
    table = pa.table({"a": pa.array(np.arange(200_000) % distinct).cast(kind)})

    said = column(describe(scratch, table, batch_rows=65_536), "a")

    assert said["distinct"] == pytest.approx(distinct, rel=0.05)
    assert said["distinct"] > 1000
    assert said["distinct_is_estimate"] is True
    assert "top" not in said


def test_prose_is_not_listed_as_categories(scratch: Scratch) -> None:
    table = pa.table({"lyrics": ["la " * 200, "la " * 200, "na " * 200], "a": [1, 2, 3]})

    said = column(describe(scratch, table), "lyrics")

    assert "top" not in said
    assert said["distinct"] == 2


def test_the_lists_of_values_stay_within_a_megabyte_together(scratch: Scratch) -> None:
    words = [f"{place:0200}" for place in range(1000)]

    said = describe(scratch, pa.table({f"c{place}": words for place in range(12)}))

    assert len(json.dumps(said)) < 1.2 * profile.LISTED_CHARACTERS
    assert {len(each["top"]) for each in said["columns"]} == {1000, profile.ALWAYS_LISTED}


def test_rows_that_repeat_in_all_but_the_id_are_duplicates(scratch: Scratch) -> None:
    table = pa.table(
        {"id": range(5), "a": [1.0, 0.0, 1.0, -0.0, None], "b": ["x", "y", "x", "y", "y"], "c": [None, 1, None, 1, 1]}
    )

    said = describe(scratch, table, batch_rows=2)

    assert said["roles"]["id"] == "id"
    assert said["duplicates"] == 2
    assert "duplicates" in codes(said)


def test_equal_cells_in_other_columns_are_no_duplicates(scratch: Scratch) -> None:
    table = pa.table({"a": ["x", "y"], "b": ["y", "x"]})

    assert describe(scratch, table)["duplicates"] == 0


def test_duplicates_are_counted_in_parts_when_there_are_many_rows(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "HASHES_A_PART", 1000)
    monkeypatch.setattr(hashes, "HASHES_A_BLOCK", 700)
    values = np.random.default_rng(2).integers(0, 5000, 20_000)

    said = describe(scratch, pa.table({"a": values, "id": range(20_000)}))

    assert said["duplicates"] == 20_000 - len(np.unique(values))


def test_an_id_is_inferred_only_where_every_row_has_its_own(scratch: Scratch) -> None:
    table = pa.table(
        {"key": ["C", "G", "C"], "track_id": [1, 2, 2], "filename": ["a", "b", None], "file": ["a", "b", "c"]}
    )

    said = describe(scratch, table)

    assert said["roles"]["id"] == "file"
    assert "id_inferred" in codes(said)


def test_an_id_that_is_named_stays_with_a_warning_when_rows_share_it(scratch: Scratch) -> None:
    said = describe(scratch, pa.table({"key": ["C", "G", "C"], "a": [1, 2, 3]}), id="key")

    assert said["roles"]["id"] == "key"
    assert "id_not_unique" in codes(said)


def test_a_text_column_of_numbers_tells_the_rows_that_are_none(scratch: Scratch) -> None:
    cells = [str(place) for place in range(2000)]
    cells[40], cells[1500] = "12 bpm", "fast"

    said = describe(scratch, pa.table({"a": cells, "b": ["x"] * 1000 + ["1"] * 1000}))

    assert column(said, "a")["mixed"] == {"count": 2, "rows": [40, 1500]}
    assert "mixed" not in column(said, "b")
    assert "mixed_types" in codes(said)


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"a": [1, 1, 1]}, "constant_column"),
        ({"a": pa.array([None, None, 1])}, "mostly_missing"),
        ({"a": [1, 2, 3]}, "no_target"),
        ({"a": [1, 2, 3], "artist": ["x", "x", "y"]}, "group_inferred"),
        ({"a": range(20), "genre": ["rock"] * 18 + ["pop"] * 2}, "target_imbalanced"),
        ({"a": [1, 2, 3], "genre": ["rock", "rock", "pop"]}, "class_of_one_row"),
        ({"a": [1, 2, 3], "genre": ["rock", "rock", None]}, "target_missing_cells"),
    ],
)
def test_what_may_surprise_a_training_is_a_warning(scratch: Scratch, columns: dict[str, Any], code: str) -> None:
    assert code in codes(describe(scratch, pa.table(columns)))


def test_a_clean_table_whose_roles_are_named_has_no_warnings(scratch: Scratch) -> None:
    table = pa.table({"n": [1, 2, 3, 4], "g": ["a", "b", "a", "b"]})

    assert describe(scratch, table, target="g")["warnings"] == []


def test_sums_that_overflow_are_left_out_and_not_infinite(scratch: Scratch) -> None:
    said = column(describe(scratch, pa.table({"a": [1.7e308, 1.7e308, -1.7e308]}), batch_rows=2), "a")

    assert (said["mean"], said["std"]) == (None, None)
    assert (said["min"], said["max"]) == (-1.7e308, 1.7e308)


def test_a_column_is_counted_as_python_counts_it(scratch: Scratch) -> None:
    words = [str(value) for value in np.random.default_rng(3).zipf(1.5, 5000) % 300]

    said = column(describe(scratch, pa.table({"a": words})), "a")

    expected = sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
    assert [tuple(pair) for pair in said["top"]] == expected[: figures.EXACT_DISTINCT]
