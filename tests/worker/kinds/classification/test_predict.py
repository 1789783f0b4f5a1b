"""From outputs to labels and probabilities."""

import numpy as np
import pytest

from worker.features import Number
from worker.kinds.classification.data import Target
from worker.kinds.classification.predict import Classifier


def classifier(target: Target) -> Classifier:
    return Classifier((Number(name="x"),), target, lambda x: x)


def test_one_output_is_the_probability_of_the_positive_class() -> None:
    scorer = classifier(Target(encoding="binary", labels=("rock", "pop"), positive="pop", columns=("genre",)))

    answer = scorer.answer(np.array([[0.75], [0.25], [0.5]], np.float32))

    assert answer.fields["prediction"].to_pylist() == ["pop", "rock", "rock"]
    assert answer.fields["probabilities"]["pop"].to_pylist() == [0.75, 0.25, 0.5]
    assert answer.fields["probabilities"]["rock"].to_pylist() == [0.25, 0.75, 0.5]
    assert scorer.summarise(answer.totals, 3) == {
        "classes": {"rock": 2, "pop": 1},
        "mean_confidence": pytest.approx(2 / 3),
    }


def test_the_likeliest_of_many_is_said() -> None:
    scorer = classifier(Target(encoding="one_hot", labels=("a", "b", "c"), columns=("key",)))

    answer = scorer.answer(np.array([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]], np.float32))

    assert answer.fields["prediction"].to_pylist() == ["b", "a"]
    assert scorer.summarise(answer.totals, 2) == {
        "classes": {"a": 1, "b": 1, "c": 0},
        "mean_confidence": pytest.approx(0.6),
    }


def test_every_label_from_a_half_on_is_said() -> None:
    scorer = classifier(Target(encoding="multi_hot", labels=("live", "old"), columns=("live", "old")))

    answer = scorer.answer(np.array([[0.5, 0.9], [0.1, 0.2], [0.4, 0.6]], np.float32))

    assert answer.fields["prediction"].to_pylist() == [["live", "old"], [], ["old"]]
    assert scorer.summarise(answer.totals, 3)["classes"] == {"live": 1, "old": 2}


@pytest.mark.parametrize("encoding", ["binary", "one_hot", "multi_hot"])
def test_no_rows_have_the_types_of_many(encoding: str) -> None:
    scorer = classifier(Target.model_validate({"encoding": encoding, "labels": ["a", "b"], "columns": ["key"]}))

    none, some = (scorer.answer(np.full((rows, scorer.outputs), 0.6, np.float32)) for rows in (0, 3))

    assert none.fields["prediction"].type == some.fields["prediction"].type
    assert scorer.summarise(none.totals, 0) == {"classes": {"a": 0, "b": 0}, "mean_confidence": None}
