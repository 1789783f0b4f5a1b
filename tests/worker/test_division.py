"""Who trains and who validates, which repeats are dropped, and what looks like leakage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.table_params import TableTraining
from tests.worker.canonical import write
from worker import division, preparation
from worker.division import Division
from worker.preparation import Examples


def examples_of(tmp_path: Path, columns: dict[str, Any], params: TableTraining, **roles: Any) -> Examples:
    return preparation.load(*write(tmp_path, columns, target=["genre"], **roles), params)


def divided(tmp_path: Path, columns: dict[str, Any], asked: dict[str, Any], **roles: Any) -> Division:
    params = TableTraining.model_validate(asked)
    examples = examples_of(tmp_path, columns, params, **roles)
    return division.divide(examples, params, np.zeros(len(examples.rows), np.int64))


def table(rows: int = 100) -> dict[str, Any]:
    return {"x": np.random.default_rng(0).normal(size=rows), "genre": ["a", "b"] * (rows // 2)}


@pytest.mark.parametrize(
    ("asked", "group", "by", "validating"),
    [
        ({}, None, "shuffle", 20),
        ({}, "work", "group", 20),
        ({"validation": {"fraction": 0.3}}, None, "shuffle", 30),
        ({"validation": {"fraction": 0.3}}, "work", "group", 30),
        ({"validation": {"group": "album"}}, "work", "group", 20),
        ({"validation_split": 0.25}, None, "last_rows", 25),
        ({"validation_split": 0.0}, None, "last_rows", 0),
    ],
)
def test_the_split_is_the_one_asked_for(
    tmp_path: Path, asked: dict[str, Any], group: str | None, by: str, validating: int
) -> None:
    columns = {**table(), "work": np.repeat(np.arange(20), 5), "album": np.repeat(np.arange(10), 10)}

    result = divided(tmp_path, columns, asked, group=group)

    assert (result.by, len(result.split.validation)) == (by, validating)
    assert result.as_json() == {"by": by, "train": 100 - validating, "validation": validating, "duplicates_dropped": 0}


def test_a_row_without_a_group_is_a_group_of_its_own(tmp_path: Path) -> None:
    columns = {**table(), "work": [None] * 50 + ["w"] * 50}

    result = divided(tmp_path, columns, {}, group="work")

    assert len(result.split.validation) == 20 and max(result.split.validation) < 50


def test_repeats_are_dropped_from_training_and_kept_in_validation(tmp_path: Path) -> None:
    columns = {"x": [1.0, 1.0, 2.0, 1.0, 3.0, 3.0, 3.0, 4.0], "genre": list("aabaabba"), "id": list("abcdefgh")}

    result = divided(tmp_path, columns, {"validation_split": 0.5}, id="id")

    assert result.split.train.tolist() == [0, 2] and result.split.validation.tolist() == [4, 5, 6, 7]
    assert result.duplicates_dropped == 2
    assert ("duplicates_dropped", "Left out of training, as rows that equal an earlier one: 2.") in [
        (caution.code, caution.detail) for caution in result.cautions
    ]


def test_rows_that_differ_in_a_dropped_column_are_no_repeats(tmp_path: Path) -> None:
    columns = {"x": [1.0, 1.0, 2.0, 2.0, 2.0, 4.0], "genre": list("aabbba"), "day": [1, 2, 3, 4, 4, 6]}

    result = divided(tmp_path, columns, {"validation_split": 0.1}, drop=["day"])

    assert result.split.train.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("asked", [{"preprocess": "none"}, {"preprocess": {"drop_duplicates": False}}])
def test_repeats_stay_where_nothing_may_be_changed(tmp_path: Path, asked: dict[str, Any]) -> None:
    columns = {"x": [1.0, 1.0, 1.0, 2.0, 3.0], "genre": list("aaabb")}

    result = divided(tmp_path, columns, {**asked, "validation_split": 0.2})

    assert result.split.train.tolist() == [0, 1, 2, 3] and result.cautions == []


def test_a_row_on_both_sides_is_suspected(tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0, 3.0, 1.0], "genre": list("abaa")}

    (caution,) = divided(tmp_path, columns, {"validation_split": 0.25}).cautions

    assert (caution.code, caution.detail) == ("leakage_suspected", "1 validation rows equal a training row")


def test_segments_of_one_song_are_suspected_until_a_group_is_named(tmp_path: Path) -> None:
    names = [f"song.{row // 5:05}.wav.{row % 5}" for row in range(100)]
    columns = {**table(), "segment": names, "song": np.repeat(np.arange(20), 5)}

    alone, grouped = divided(tmp_path, columns, {}, id="segment"), divided(tmp_path, columns, {}, group="song")

    assert [caution.code for caution in alone.cautions] == ["leakage_suspected"]
    assert "begin alike: 5 of them" in alone.cautions[0].detail and "`group`" in alone.cautions[0].detail
    assert grouped.cautions == []


def test_the_last_rows_of_a_grouped_dataset_are_suspected_when_groups_are_torn(tmp_path: Path) -> None:
    columns = {**table(), "work": np.repeat(np.arange(20), 5)}

    torn = divided(tmp_path, columns, {"validation_split": 0.23}, group="work")
    whole = divided(tmp_path, columns, {"validation_split": 0.2}, group="work")

    assert "1 groups of 'work' have rows on both sides" in torn.cautions[0].detail
    assert whole.cautions == []


@pytest.mark.parametrize("rows", [2, 3])
def test_too_few_rows_fail(tmp_path: Path, rows: int) -> None:
    columns = {"x": np.arange(float(rows)), "genre": list("aab")[:rows]}

    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, columns, {"validation_split": 0.6})

    assert failed.value.code == "too_few_rows"


@pytest.mark.parametrize("asked", [{}, {"test": 0.2}, {"validation": {"folds": 3}}])
def test_one_group_cannot_validate(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, {**table(), "work": ["w"] * 100}, asked, group="work")

    assert failed.value.code == "too_few_rows" and "'work'" in failed.value.detail


def test_a_test_too_many_leaves_too_few(tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0, 3.0], "genre": list("aba")}

    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, columns, {"test": 0.4, "validation": {"fraction": 0.5}})

    assert failed.value.code == "too_few_rows" and "would test" in failed.value.detail


@pytest.mark.parametrize("roles", [{}, {"group": "work"}])
def test_the_test_is_the_same_whatever_else_is_asked(tmp_path: Path, roles: dict[str, str]) -> None:
    columns = {**table(), "work": np.repeat(np.arange(20), 5)}
    trials: list[dict[str, Any]] = [
        {}, {"seed": 5}, {"validation": {"fraction": 0.4}}, {"validation": {"folds": 3}}, {"validation_split": 0.1},
        {"preprocess": "none"}, {"batch_size": 7, "optimizer": "sgd"},
    ]  # fmt: skip

    tests = [divided(tmp_path, columns, {**trial, "test": {"fraction": 0.25, "seed": 3}}, **roles) for trial in trials]
    other = divided(tmp_path, columns, {"test": {"fraction": 0.25, "seed": 4}}, **roles)

    assert len(tests[0].split.test) == 25 and len({tuple(each.split.test.tolist()) for each in tests}) == 1
    assert other.split.test.tolist() != tests[0].split.test.tolist()
    for each in tests:
        assert not set(each.split.test) & {*each.split.train, *each.split.validation}
    assert tests[0].as_json()["test"] == {
        "by": "group" if roles else "shuffle", "rows": 25, "fraction": 0.25, "seed": 3,
    }  # fmt: skip


def test_the_latest_rows_test_and_those_before_them_validate(tmp_path: Path) -> None:
    days = np.random.default_rng(1).permutation(100)
    columns = {**table(), "day": [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in days.tolist()]}

    result = divided(tmp_path, columns, {"test": 0.1, "validation": {"time": "day", "fraction": 0.2}}, drop=["day"])

    assert result.by == "time"
    assert sorted(days[result.split.test]) == list(range(90, 100))
    assert sorted(days[result.split.validation]) == list(range(72, 90))


def test_a_group_stands_where_its_latest_row_stands(tmp_path: Path) -> None:
    columns = {**table(), "work": np.repeat(np.arange(20), 5), "year": np.arange(100.0)}
    columns["work"][0] = 19

    result = divided(tmp_path, columns, {"validation": {"time": "year"}}, group="work")

    assert result.split.validation.tolist() == [0, *range(80, 100)]


@pytest.mark.parametrize(
    ("cells", "said"),
    [([1.0, None, 3.0, 4.0], "nothing"), (["2024-01-01", "soon", "2024-01-02", "2024-01-03"], "else")],
)
def test_a_cell_that_tells_no_moment_is_named(tmp_path: Path, cells: list[Any], said: str) -> None:
    columns = {"x": [1.0, 2.0, 3.0, 4.0], "genre": list("abab"), "at": cells}

    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, columns, {"validation": {"time": "at"}})

    (fault,) = failed.value.faults
    assert failed.value.code == "time_unreadable" and (fault.row, fault.column) == (1, "at") and said in fault.message


def test_all_rows_of_one_moment_cannot_be_divided_by_time(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, {**table(), "at": [1.0] * 100}, {"validation": {"time": "at"}})

    assert failed.value.code == "too_few_rows"


@pytest.mark.parametrize("roles", [{}, {"group": "work"}])
def test_more_folds_than_there_are_things_to_divide_are_refused(tmp_path: Path, roles: dict[str, str]) -> None:
    columns = {**table(6), "work": list("aabbcc")}

    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, columns, {"validation": {"folds": 7}}, **roles)

    assert failed.value.code == "too_few_rows" and "fewer folds" in failed.value.detail


@pytest.mark.parametrize("asked", [{"validation": {"time": "when"}}, {"report_by": ["x", "decade"]}])
def test_a_column_that_is_not_there_is_named_before_anything_is_learned(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(JobFailed) as failed:
        divided(tmp_path, table(), asked)

    (fault,) = failed.value.faults
    assert failed.value.code == "column_missing" and fault.column in ("when", "decade")
    assert fault.pointer in ("/params/validation/time", "/params/report_by/1")
