"""From outputs to numbers in the client's units."""

import numpy as np

from worker.features import Number
from worker.kinds.regression.data import Target
from worker.kinds.regression.predict import Regressor


def regressor(*columns: str) -> Regressor:
    target = Target(columns=columns, mean=(1950.0, 120.0)[: len(columns)], scale=(30.0, 20.0)[: len(columns)])
    return Regressor((Number(name="x"),), target, lambda x: x)


def test_one_target_is_a_number() -> None:
    scorer = regressor("year")

    answer = scorer.answer(np.array([[0.0], [1.0]], np.float32))

    assert answer.fields["prediction"].to_pylist() == [1950.0, 1980.0]
    assert scorer.summarise(answer.totals, 2) == {"mean_prediction": {"year": 1965.0}}


def test_several_targets_are_an_object() -> None:
    answer = regressor("year", "bpm").answer(np.array([[0.0, 1.0]], np.float32))

    assert {name: column.to_pylist() for name, column in answer.fields["prediction"].items()} == {
        "year": [1950.0], "bpm": [140.0],
    }  # fmt: skip


def test_no_rows_have_no_mean() -> None:
    scorer = regressor("year")

    assert scorer.summarise(scorer.answer(np.empty((0, 1), np.float32)).totals, 0) == {
        "mean_prediction": {"year": None}
    }
