"""Two scorings side by side: rows are matched by their key, and what is predicted otherwise is told."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker import differences
from worker.differences import Difference


def compare(folder: Path, here: dict[str, Any], there: dict[str, Any]) -> Difference:
    for name, columns in (("here", here), ("there", there)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return differences.compare(folder / "here.parquet", folder / "there.parquet")


def scored(keys: list[Any], predictions: list[Any], rock: list[float] | None = None, **more: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {"key": keys, "prediction": predictions, **more}
    return columns if rock is None else columns | {"probability.rock": pa.array(rock, pa.float32())}


def test_rows_are_matched_by_key_whatever_their_order(tmp_path: Path) -> None:
    here = scored(["a", "b", "c", "d"], ["rock", "pop", "rock", "pop"], [0.9, 0.2, 0.8, 0.4])
    there = scored(["c", "e", "b", "a"], ["pop", "pop", "pop", "rock"], [0.3, 0.1, 0.25, 0.9])

    found = compare(tmp_path, here, there)

    assert found.as_json() == {
        "same": 2, "changed": 1, "only_here": 1, "only_there": 1, "largest_move": pytest.approx(0.5)
    }  # fmt: skip
    assert (found.only_here.to_pylist(), found.only_there.to_pylist()) == (["d"], ["e"])
    assert found.rows(0, 10) == [
        {
            "key": "c",
            "here": {"prediction": "rock", "probabilities": {"rock": pytest.approx(0.8)}},
            "there": {"prediction": "pop", "probabilities": {"rock": pytest.approx(0.3)}},
        }
    ]


def test_a_key_that_comes_again_is_matched_in_order(tmp_path: Path) -> None:
    here, there = scored(["a", "a", "b"], ["x", "y", "z"]), scored(["a", "b", "a", "a"], ["x", "z", "q", "r"])

    found = compare(tmp_path, here, there)

    assert (found.same, found.only_here.to_pylist(), found.only_there.to_pylist()) == (2, [], ["a"])
    assert found.rows(0, 5) == [{"key": "a", "here": {"prediction": "y"}, "there": {"prediction": "q"}}]


def test_numbers_as_near_as_single_precision_are_the_same(tmp_path: Path) -> None:
    found = compare(tmp_path, scored([1, 2, 3], [100.0, 1.0, None]), scored([1, 2, 3], [100.0005, 1.1, None]))

    assert (found.same, [row["key"] for row in found.rows(0, 9)]) == (2, [2])
    assert found.largest_move is None


def test_lists_of_labels_and_labels_that_are_missing(tmp_path: Path) -> None:
    here = scored(["a", "b", "c"], [["rock", "live"], ["pop"], []])
    there = scored(["a", "b", "c"], [["rock", "live"], ["pop", "live"], None])

    assert [row["key"] for row in compare(tmp_path, here, there).rows(0, 9)] == ["b", "c"]


def test_keys_of_numbers_and_of_texts_are_compared_as_texts(tmp_path: Path) -> None:
    assert compare(tmp_path, scored([1, 2], ["x", "y"]), scored(["1", "2"], ["x", "y"])).same == 2


def test_what_is_repeated_from_the_input_is_no_difference(tmp_path: Path) -> None:
    here = {
        "key": ["a", "b"],
        "rhythm.bpm": [120.0, 90.0],
        "column.artist": ["x", "y"],
        "similar.tracks": [["b"], ["a"]],
    }
    there = {**here, "rhythm.bpm": [120.0, 91.0], "column.artist": ["q", "r"], "similar.tracks": [["c"], ["a"]]}

    found = compare(tmp_path, here, there)

    assert found.rows(0, 9) == [{"key": "b", "here": {"rhythm.bpm": 90.0}, "there": {"rhythm.bpm": 91.0}}]


@pytest.mark.parametrize("keys", [[], ["a"]])
def test_an_empty_scoring_has_nothing_in_common(tmp_path: Path, keys: list[str]) -> None:
    empty = {"key": pa.array([], pa.string()), "prediction": pa.array([], pa.string())}

    found = compare(tmp_path, scored(keys, ["x"] * len(keys)) if keys else empty, empty)

    assert (found.same, found.changed.num_rows, len(found.only_here)) == (0, 0, len(keys))


def test_scorings_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one kind"):
        compare(tmp_path, {"key": ["a"], "prediction": ["x"]}, {"key": ["a"], "rhythm.bpm": [1.0]})


def test_many_rows_are_compared_as_one_by_one(tmp_path: Path) -> None:
    count = 5000
    here = scored([f"k{n % 700}" for n in range(count)], [n % 3 for n in range(count)])
    there = scored([f"k{(n * 7) % 900}" for n in range(count)], [n % 2 for n in range(count)])
    by_key: dict[str, list[int]] = {}
    for key, value in zip(there["key"], there["prediction"], strict=True):
        by_key.setdefault(key, []).append(value)
    same = changed = alone = 0
    for key, value in zip(here["key"], here["prediction"], strict=True):
        if not by_key.get(key):
            alone += 1
            continue
        other = by_key[key].pop(0)
        same, changed = same + (other == value), changed + (other != value)

    found = compare(tmp_path, here, there)

    assert (found.same, found.changed.num_rows, len(found.only_here)) == (same, changed, alone)
    assert len(found.only_there) == sum(map(len, by_key.values()))
