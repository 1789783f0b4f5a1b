"""What is true of another dataset's rows, as versions are judged by it."""

from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from worker.kinds.classification import metrics, truth
from worker.tables import Texts

Json = dict[str, Any]
BINARY = {"encoding": "binary", "labels": ["pop", "rock"], "positive": "rock", "columns": ["genre"]}
SEVERAL = {"encoding": "multi_hot", "labels": ["live", "old"], "columns": ["tags"], "separator": "|"}


def texts(*cells: str) -> Texts:
    words = sorted(set(cells))
    return Texts(words, np.array([words.index(cell) for cell in cells], np.int32))


def test_labels_are_read_as_the_version_learned_them() -> None:
    known = truth.read({"genre": texts("rock", "pop", "rock")}, [{**BINARY, "temperatures": [2.0]}])

    assert known.truth.tolist() == [[1], [0], [1]] and known.cautions == []
    assert known.targets[0]["temperatures"] == [] and known.targets[0]["encoding"] == "binary"


def test_a_label_that_was_never_learned_is_got_wrong_and_told() -> None:
    known = truth.read({"genre": texts("rock", "jazz", "pop")}, [BINARY])

    said = metrics.translate(known.targets[0], BINARY, np.array([[0.9], [0.8], [0.1]], np.float32))
    judged = metrics.evaluate(known.targets[0], known.truth, said)
    assert judged["accuracy"]["value"] == pytest.approx(2 / 3)
    assert np.isfinite(judged["log_loss"]["value"]) and judged["precision"]["value"] == 0.5
    assert [caution.code for caution in known.cautions] == ["label_unknown"]
    assert known.cautions[0].detail.endswith("gets every row wrong: 1")


def test_a_word_that_no_row_holds_is_no_label() -> None:
    cells = Texts(["jazz", "pop", "rock"], np.array([1, 2, 2], np.int32))

    assert truth.read({"genre": cells}, [BINARY]).targets[0]["labels"] == ["pop", "rock"]


def test_two_versions_of_opposite_positives_are_judged_alike_by_their_own_thresholds() -> None:
    other = {**BINARY, "labels": ["rock", "pop"], "positive": "pop", "thresholds": {"pop": 0.3}}

    known = truth.read({"genre": texts("rock", "pop")}, [BINARY, other])

    said = metrics.translate(known.targets[1], other, np.array([[0.35], [0.25]], np.float32))
    judged = metrics.evaluate(known.targets[1], known.truth, said)
    # It says pop from 0.3 on: of both rows the wrong one.
    assert judged["accuracy"]["value"] == 0.0
    assert known.targets[1]["positive"] == "rock"


def test_labels_between_separators_are_read_with_those_that_are_new() -> None:
    known = truth.read({"tags": texts("live|old", "old", "new|live")}, [SEVERAL])

    assert known.targets[0]["labels"] == ["live", "old", "new"]
    assert known.truth.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert known.cautions[0].detail.endswith("gets every row wrong: 1")


def test_several_columns_are_flags_or_refused() -> None:
    target = {"encoding": "multi_hot", "labels": ["live", "old"], "columns": ["live", "old"]}

    known = truth.read({"live": texts("1", "0"), "old": texts("true", "false")}, [target])

    assert known.truth.tolist() == [[1, 1], [0, 0]]
    with pytest.raises(JobFailed, match="'old'") as refused:
        truth.read({"live": texts("1", "0"), "old": texts("maybe", "0")}, [target])
    assert refused.value.code == "target_not_flags"


@pytest.mark.parametrize("other", [{**BINARY, "columns": ["mood"]}, SEVERAL, {**SEVERAL, "columns": ["genre"]}])
def test_versions_that_answer_different_questions_are_not_compared(other: Json) -> None:
    with pytest.raises(JobFailed) as refused:
        truth.columns([BINARY, other])

    assert (refused.value.code, refused.value.faults[0].pointer) == ("against_unlike", "/params/against")


def test_rows_of_one_class_are_judged_without_an_area_and_finitely() -> None:
    known = truth.read({"genre": Texts(["rock"], np.array([0, 0], np.int32))}, [BINARY])

    judged = metrics.evaluate(known.targets[0], known.truth, np.array([[0.9], [0.4]], np.float32))

    assert judged["accuracy"]["value"] == 0.5 and judged["roc_auc"]["value"] is None
