"""What is true of another dataset's rows, as versions of a regression are judged by it."""

import numpy as np
import pytest

from shared.errors import JobFailed
from worker.kinds.regression import metrics, truth
from worker.tables import Texts

TARGET = {"columns": ["tempo"], "mean": [100.0], "scale": [10.0]}


def test_numbers_are_judged_in_their_own_units_whatever_the_version_learned_in() -> None:
    other = {"columns": ["energy", "tempo"], "mean": [0.0, 90.0], "scale": [1.0, 5.0]}

    known = truth.read({"tempo": np.array([110.0, 90.0])}, [TARGET, other])

    said = metrics.translate(known.targets[1], other, np.array([[0.5, 2.0], [0.5, 0.0]]))
    judged = metrics.evaluate(known.targets[1], known.truth, said)
    assert judged["mae"]["value"] == pytest.approx(5.0)


def test_a_version_that_predicts_less_is_not_compared() -> None:
    with pytest.raises(JobFailed, match="'tempo'") as refused:
        truth.columns([TARGET, {**TARGET, "columns": ["energy"]}])

    assert refused.value.code == "against_unlike"


@pytest.mark.parametrize("cells", [Texts(["fast"], np.zeros(2, np.int32)), np.array([1.0, 1e39])])
def test_a_truth_that_is_no_number_is_refused(cells: object) -> None:
    with pytest.raises(JobFailed) as refused:
        truth.read({"tempo": cells}, [TARGET])  # type: ignore[dict-item]

    assert refused.value.code == "target_not_numeric"
