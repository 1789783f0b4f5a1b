"""Numbers as targets: their units, and which targets cannot be learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.regression import TrainParams
from tests.worker.canonical import music, write
from worker.kinds.protocol import Prepared
from worker.kinds.regression import data
from worker.kinds.regression.data import Target


def prepared(tmp_path: Path, columns: dict[str, Any], asked: dict[str, Any], target: list[str]) -> Prepared:
    params = TrainParams.model_validate(asked)
    paths, profile = write(tmp_path, columns, target=target)
    return data.prepare(data.load(paths, profile, params), params)


def test_targets_are_learned_in_standard_units_of_the_training_rows(tmp_path: Path) -> None:
    columns = {"x": np.arange(100.0), "year": 1900 + np.arange(100.0), "bpm": np.arange(100.0) % 7}

    result = prepared(tmp_path, columns, {"validation_split": 0.2}, ["year", "bpm"])

    target = Target.model_validate(result.target)
    assert result.validation is not None and result.task == "numbers"
    np.testing.assert_allclose(result.train.y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(result.train.y.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(target.restore(result.validation.y)[:, 0], columns["year"][80:], rtol=1e-7)


def test_without_preprocessing_targets_are_as_they_are(tmp_path: Path) -> None:
    year = 1900 + np.arange(50.0)

    result = prepared(tmp_path, {"x": year, "year": year}, {"preprocess": "none", "validation_split": 0.2}, ["year"])

    np.testing.assert_array_equal(result.train.y[:, 0], year[:40].astype(np.float32))


def test_rows_without_a_number_are_left_out(tmp_path: Path) -> None:
    columns = {**music(50), "loudness": [None] * 10 + list(np.arange(40.0))}

    result = prepared(tmp_path, columns, {}, ["loudness"])

    assert len(result.train.x) + len(result.validation_rows) == 40
    assert "target_missing_rows" in [caution.code for caution in result.cautions]


@pytest.mark.parametrize(
    ("target", "code", "rows"),
    [
        ([4.0] * 20, "target_constant", [None]),
        ([None] * 20, "target_constant", [None]),
        ([*map(float, range(19)), float("inf")], "non_finite", [19]),
        ([*map(str, range(18)), "loud", "quiet"], "target_not_numeric", [18, 19]),
    ],
)
def test_a_target_that_cannot_be_learned_fails_at_its_places(
    tmp_path: Path, target: list[Any], code: str, rows: list[int | None]
) -> None:
    columns = {"x": np.arange(20.0), "y": np.array(target, dtype=object) if None in target else target}

    with pytest.raises(JobFailed) as failed:
        prepared(tmp_path, columns, {}, ["y"])

    assert failed.value.code == code
    assert [fault.row for fault in failed.value.faults] == rows and failed.value.faults[0].column == "y"


def test_true_and_false_are_one_and_nought(tmp_path: Path) -> None:
    columns = {"x": np.arange(20.0), "live": [True, False] * 10}

    result = prepared(tmp_path, columns, {"preprocess": "none"}, ["live"])

    assert set(result.train.y[:, 0].tolist()) == {0.0, 1.0}
