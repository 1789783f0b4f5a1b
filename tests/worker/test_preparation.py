"""From a dataset to matrices: what is read, what is left out, and what makes a training impossible."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.table_params import TableTraining
from tests.worker.canonical import music, write
from worker import batches, preparation
from worker.preparation import Examples

AUTO, UNTOUCHED = TableTraining(), TableTraining(preprocess="none")


def examples_of(tmp_path: Path, columns: dict[str, Any], params: TableTraining = AUTO, **roles: Any) -> Examples:
    return preparation.load(*write(tmp_path, columns, **{"target": ["genre"], **roles}), params)


def test_roles_are_never_features(tmp_path: Path) -> None:
    columns = {**music(20), "work": ["w"] * 20, "note": ["n"] * 20, "hidden": [1.0] * 20}

    examples = examples_of(tmp_path, columns, id="piece", group="work", mask=["hidden"], drop=["note"])

    assert examples.features == ["tempo", "energy", "noise", "key", "loudness"]
    assert (examples.id, examples.group, examples.targets) == ("piece", "work", ["genre"])


def test_a_group_named_by_the_params_is_no_feature_either(tmp_path: Path) -> None:
    params = TableTraining.model_validate({"validation": {"group": "key"}})

    examples = examples_of(tmp_path, music(20), params)

    assert examples.group == "key" and "key" not in examples.features


def test_rows_without_a_target_are_left_out_and_said(tmp_path: Path) -> None:
    examples = examples_of(tmp_path, {"x": [1, 2, 3, 4], "genre": ["a", None, "b", None]})

    assert examples.rows.tolist() == [0, 2]
    assert [caution.detail for caution in examples.cautions] == ["2 rows without a target are left out"]


@pytest.mark.parametrize("target", [[], ["mood"], ["genre", "mood"]])
def test_a_target_that_is_not_there_fails_by_name(tmp_path: Path, target: list[str]) -> None:
    with pytest.raises(JobFailed) as failed:
        examples_of(tmp_path, music(20), target=target)

    assert failed.value.code == "target_missing"
    assert [fault.column for fault in failed.value.faults] == [name for name in target if name == "mood"]


def test_a_group_that_is_not_there_fails_by_name(tmp_path: Path) -> None:
    params = TableTraining.model_validate({"validation": {"group": "album"}})

    with pytest.raises(JobFailed) as failed:
        examples_of(tmp_path, music(20), params)

    assert failed.value.code == "group_missing" and failed.value.faults[0].column == "album"


def test_text_among_numbers_fails_with_its_rows_and_the_ways_out(tmp_path: Path) -> None:
    columns = {"bpm": ["120"] * 18 + ["fast", "slow"], "x": [1.0] * 20, "genre": ["a", "b"] * 10}
    mixed = {"bpm": {"count": 2, "rows": [18, 19]}}

    with pytest.raises(JobFailed) as failed:
        examples_of(tmp_path, columns, mixed=mixed)

    assert failed.value.code == "column_mixed" and failed.value.faults_total == 2
    assert [(fault.row, fault.column) for fault in failed.value.faults] == [(18, "bpm"), (19, "bpm")]
    assert all(way in failed.value.detail for way in ("Put numbers", "leave them empty", "`drop`"))


def test_text_among_numbers_does_not_matter_in_a_dropped_column(tmp_path: Path) -> None:
    columns = {"bpm": ["120"] * 3 + ["fast"], "x": [1.0] * 4, "genre": ["a", "b"] * 2}

    examples = examples_of(tmp_path, columns, drop=["bpm"], mixed={"bpm": {"count": 1, "rows": [3]}})

    assert examples.features == ["x"]


def tabulated(tmp_path: Path, columns: dict[str, Any], params: TableTraining, **roles: Any) -> preparation.Matrices:
    examples = examples_of(tmp_path, columns, params, **roles)
    return preparation.tabulate(examples, batches.last_rows(len(examples.rows), 0.25), params)


def test_without_preprocessing_the_matrix_is_the_file(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(size=(100, 10))
    columns = {**{f"f{place}": values for place, values in enumerate(x.T)}, "genre": ["a", "b"] * 50}

    matrices = tabulated(tmp_path, columns, UNTOUCHED)

    np.testing.assert_array_equal(np.concatenate([matrices.train, matrices.validation]), x.astype(np.float32))


def test_only_the_training_rows_teach(tmp_path: Path) -> None:
    columns = {"x": [1.0, 2.0, 3.0, 1000.0], "genre": ["a", "b"] * 2}

    matrices = tabulated(tmp_path, columns, TableTraining.model_validate({"preprocess": {"outliers": "keep"}}))

    np.testing.assert_allclose(matrices.train.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(matrices.validation[0, 0], 998 / np.std([1, 2, 3]), rtol=1e-6)


def test_without_preprocessing_every_empty_cell_is_a_fault(tmp_path: Path) -> None:
    columns = {"x": [1.0, None, 3.0, 4.0], "y": [1.0, 2.0, 3.0, None], "genre": ["a", "b"] * 2}

    with pytest.raises(JobFailed) as failed:
        tabulated(tmp_path, columns, UNTOUCHED)

    assert failed.value.code == "cells_missing"
    assert [(fault.row, fault.column) for fault in failed.value.faults] == [(1, "x"), (3, "y")]


def test_without_preprocessing_a_text_column_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        tabulated(tmp_path, {"x": [1.0] * 4, "key": [None, "C", "G", "G"], "genre": ["a", "b"] * 2}, UNTOUCHED)

    assert failed.value.code == "cells_not_numeric"
    said = "expected a number, received text of 1 character"
    assert failed.value.faults[0].as_json() == {"message": said, "row": 1, "column": "key"}


@pytest.mark.parametrize("params", [AUTO, UNTOUCHED])
def test_a_number_beyond_float32_is_a_fault_at_its_place_in_the_dataset(tmp_path: Path, params: TableTraining) -> None:
    columns = {"x": [1.0, 2.0, np.inf, 4.0], "genre": [None, "a", "b", "a"]}

    with pytest.raises(JobFailed) as failed:
        tabulated(tmp_path, columns, params)

    assert failed.value.code == "non_finite"
    assert [(fault.row, fault.column) for fault in failed.value.faults] == [(2, "x")]


def test_many_faults_are_counted_and_a_hundred_are_shown(tmp_path: Path) -> None:
    columns = {"x": [None] * 150 + [1.0] * 50, "genre": ["a", "b"] * 100}

    with pytest.raises(JobFailed) as failed:
        tabulated(tmp_path, columns, UNTOUCHED)

    assert (failed.value.faults_total, len(failed.value.faults)) == (150, 100)


@pytest.mark.parametrize("columns", [{}, {"x": [4.0] * 8}, {"title": list("abcdefgh")}])
def test_no_column_left_to_learn_from_fails(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pytest.raises(JobFailed) as failed:
        tabulated(tmp_path, {**columns, "genre": ["a", "b"] * 4}, AUTO)

    assert failed.value.code == "no_features"
    assert all(name in failed.value.detail for name in columns)
