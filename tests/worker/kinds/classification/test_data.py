"""How a target becomes labels and numbers, and which targets cannot be learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.classification import TrainParams
from tests.worker.canonical import music, write
from worker.kinds.classification import data
from worker.kinds.classification.data import Encoded
from worker.kinds.protocol import Prepared


def encoded(tmp_path: Path, target: dict[str, Any], asked: dict[str, Any] | None = None) -> Encoded:
    params = TrainParams.model_validate(asked or {})
    rows = len(next(iter(target.values())))
    paths, profile = write(tmp_path, {"x": np.arange(rows) * 1.0, **target}, target=list(target))
    return data.encode(data.load(paths, profile, params), params)


def failed(tmp_path: Path, target: dict[str, Any], asked: dict[str, Any] | None = None) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        encoded(tmp_path, target, asked)
    return caught.value


@pytest.mark.parametrize(
    ("cells", "labels", "y"),
    [
        (["rock", "pop", "rock", "pop"], ("pop", "rock"), [1, 0, 1, 0]),
        ([True, False, False, True], ("false", "true"), [1, 0, 0, 1]),
        ([10, 9, 10, 9], ("9", "10"), [1, 0, 1, 0]),
        ([1.0, 0.0, 0.0, 1.0], ("0", "1"), [1, 0, 0, 1]),
        (["10", "9", "10", "9"], ("9", "10"), [1, 0, 1, 0]),
        (["-1", "1", "1", "-1"], ("-1", "1"), [0, 1, 1, 0]),
    ],
)
def test_two_labels_are_one_output_and_the_last_in_order_is_positive(
    tmp_path: Path, cells: list[Any], labels: tuple[str, ...], y: list[int]
) -> None:
    result = encoded(tmp_path, {"genre": cells})

    assert (result.target.encoding, result.target.labels, result.target.positive) == ("binary", labels, labels[1])
    assert result.y.dtype == np.float32 and result.y[:, 0].tolist() == y


def test_another_positive_class_may_be_named(tmp_path: Path) -> None:
    result = encoded(tmp_path, {"genre": ["rock", "pop", "rock", "pop"]}, {"positive": "pop"})

    assert (result.target.labels, result.target.positive) == (("rock", "pop"), "pop")
    assert result.y[:, 0].tolist() == [0, 1, 0, 1] and result.strata.tolist() == [0, 1, 0, 1]


def test_more_labels_have_an_output_each(tmp_path: Path) -> None:
    result = encoded(tmp_path, {"key": [2, 10, 1, 2, 10, 1]})

    assert (result.target.encoding, result.target.labels, result.target.positive) == ("one_hot", ("1", "2", "10"), None)
    assert result.y.argmax(axis=1).tolist() == result.strata.tolist() == [1, 2, 0, 1, 2, 0]
    assert result.y.sum() == 6


def test_categorical_crossentropy_gives_two_labels_two_outputs(tmp_path: Path) -> None:
    result = encoded(tmp_path, {"genre": ["rock", "pop"] * 2}, {"loss": "categorical_crossentropy"})

    assert result.target.encoding == "one_hot" and result.target.positive == "rock"
    assert result.y.tolist() == [[0, 1], [1, 0]] * 2


def test_several_columns_are_a_label_each(tmp_path: Path) -> None:
    target = {"live": [True, False, True, False], "rock": ["0", "1", "TRUE", "false"], "old": [0, 1, 1, 0]}

    result = encoded(tmp_path, target)

    assert (result.target.encoding, result.target.labels) == ("multi_hot", ("live", "rock", "old"))
    assert result.y.tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]]


def test_a_separator_makes_several_labels_of_one_cell(tmp_path: Path) -> None:
    cells = ["rock|live", "rock", " live | rock|", "|", "rock", None, "jazz|live", "jazz"]

    result = encoded(tmp_path, {"tags": cells}, {"label_separator": "|"})

    assert (result.target.labels, result.target.separator) == (("jazz", "live", "rock"), "|")
    assert result.y.tolist() == [[0, 1, 1], [0, 0, 1], [0, 1, 1], [0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 0, 0]]
    assert result.strata.tolist() == [1, 2, 1, 3, 2, 0, 0]


def test_a_constant_target_fails(tmp_path: Path) -> None:
    error = failed(tmp_path, {"genre": ["rock", "rock", None]})

    assert (
        error.code == "target_constant"
        and error.faults[0].column == "genre"
        and "every row has the same label" in error.detail
    )


def test_a_target_without_a_single_label_fails(tmp_path: Path) -> None:
    assert failed(tmp_path, {"genre": [None, float("nan")]}).code == "target_constant"


def test_a_class_of_one_row_fails_by_column_and_row(tmp_path: Path) -> None:
    error = failed(tmp_path, {"genre": [None, "rock", "polka", "rock", "tango"]})

    assert error.code == "class_too_small" and error.faults_total == 2
    said = "expected at least 2 rows of its label, received 1"
    assert [(fault.row, fault.column, fault.message) for fault in error.faults] == [
        (2, "genre", said),
        (4, "genre", said),
    ]


@pytest.mark.parametrize("cells", [[0.5, 1.5, 0.5, 1.5], [f"title {row}" for row in range(1001)] * 2])
def test_a_number_or_a_name_is_no_label(tmp_path: Path, cells: list[Any]) -> None:
    assert failed(tmp_path, {"genre": cells}).code == "target_not_labels"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"positive": "polka"}, "positive_unknown"),
        ({"class_weights": {"polka": 2.0}}, "class_unknown"),
    ],
)
def test_a_class_that_is_not_there_is_told_with_its_pointer(tmp_path: Path, asked: dict[str, Any], code: str) -> None:
    columns, params = music(60), TrainParams.model_validate(asked)
    paths, profile = write(tmp_path, columns, target=["genre"])

    with pytest.raises(JobFailed) as caught:
        data.prepare(data.load(paths, profile, params), params)

    assert caught.value.code == code and str(caught.value.faults[0].pointer).startswith("/params/")


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ({"key": [1, 2, 3] * 2}, {"loss": "binary_crossentropy"}),
        ({"a": [0, 1] * 2, "b": [1, 0] * 2}, {"loss": "categorical_crossentropy"}),
    ],
)
def test_a_loss_that_does_not_fit_the_target_fails(
    tmp_path: Path, target: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert failed(tmp_path, target, asked).code == "loss_misfit"


def test_three_labels_have_no_positive_one(tmp_path: Path) -> None:
    assert failed(tmp_path, {"key": [1, 2, 3] * 2}, {"positive": "3"}).code == "positive_unknown"


@pytest.mark.parametrize("asked", [{"positive": "a"}, {"class_weights": "balanced"}])
def test_several_labels_take_no_positive_class_and_no_weights(tmp_path: Path, asked: dict[str, Any]) -> None:
    assert failed(tmp_path, {"a": [0, 1] * 2, "b": [1, 0] * 2}, asked).code == "invalid_params"


def test_a_flag_that_is_neither_is_told_by_row_and_column(tmp_path: Path) -> None:
    error = failed(tmp_path, {"a": [0, 1, 2, 1], "b": ["true", "maybe", "false", "true"]})

    assert error.code == "target_not_flags"
    assert [(fault.row, fault.column) for fault in error.faults] == [(2, "a"), (1, "b")]


@pytest.mark.parametrize(("flags", "code"), [([1, 1, 1, 1], "target_constant"), ([0, 0, 1, 0], "class_too_small")])
def test_a_label_of_every_row_or_of_one_cannot_be_learned(tmp_path: Path, flags: list[int], code: str) -> None:
    assert failed(tmp_path, {"a": [0, 1, 0, 1], "b": flags}).code == code


def prepared(tmp_path: Path, columns: dict[str, Any], asked: dict[str, Any], **roles: Any) -> Prepared:
    params = TrainParams.model_validate(asked)
    paths, profile = write(tmp_path, columns, **{"target": ["genre"], **roles})
    return data.prepare(data.load(paths, profile, params), params)


def test_the_textbook_table_comes_out_as_it_is_in_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x, genre = random.uniform(size=(100, 10)), random.integers(2, size=100)
    columns = {**{f"f{place}": values for place, values in enumerate(x.T)}, "genre": np.array(["pop", "rock"])[genre]}

    result = prepared(tmp_path, columns, {"preprocess": "none", "validation_split": 0.2})

    assert result.validation is not None and result.train.weight is None and result.cautions == []
    np.testing.assert_array_equal(result.train.x, x[:80].astype(np.float32))
    np.testing.assert_array_equal(result.validation.x, x[80:].astype(np.float32))
    np.testing.assert_array_equal(result.train.y[:, 0], genre[:80])
    np.testing.assert_array_equal(result.validation.y[:, 0], genre[80:])
    assert result.validation_rows.tolist() == list(range(80, 100))


def test_without_validation_every_row_trains(tmp_path: Path) -> None:
    result = prepared(tmp_path, music(50), {"validation_split": 0.0}, drop=["piece"])

    assert result.validation is None and len(result.train.x) == 50 and len(result.validation_rows) == 0


def test_by_default_a_fifth_of_every_class_validates(tmp_path: Path) -> None:
    columns = {**music(100), "genre": ["rock"] * 80 + ["pop"] * 20}

    result = prepared(tmp_path, columns, {}, id="piece")

    assert result.validation is not None
    assert (len(result.validation.y), result.validation.y.sum()) == (20, 16)
    assert result.split["by"] == "shuffle"


def test_balanced_weights_give_every_class_the_same_sum(tmp_path: Path) -> None:
    columns = {**music(100), "genre": ["rock"] * 80 + ["pop"] * 20}

    train = prepared(tmp_path, columns, {"class_weights": "balanced"}, id="piece").train

    assert train.weight is not None and train.weight.dtype == np.float32
    assert train.weight[train.y[:, 0] == 1].sum() == pytest.approx(40)
    assert train.weight[train.y[:, 0] == 0].sum() == pytest.approx(40)


def test_given_weights_are_taken_and_the_others_are_one(tmp_path: Path) -> None:
    columns = {**music(90), "genre": ["rock", "pop", "jazz"] * 30}

    train = prepared(tmp_path, columns, {"class_weights": {"jazz": 2.5}}, id="piece").train

    assert train.weight is not None
    np.testing.assert_array_equal(train.weight, np.where(train.y.argmax(axis=1) == 0, 2.5, 1).astype(np.float32))


def test_a_class_that_only_validates_is_said(tmp_path: Path) -> None:
    columns = {**music(100), "genre": ["rock"] * 80 + ["pop"] * 20}

    result = prepared(tmp_path, columns, {"validation_split": 0.2}, id="piece")

    assert [caution.code for caution in result.cautions] == ["class_not_trained"]
    assert result.cautions[0].detail.startswith("labels without a training row: 1;")


def test_the_same_seed_prepares_the_same_and_another_does_not(tmp_path: Path) -> None:
    first, again, other = (prepared(tmp_path, music(100), {"seed": seed}, id="piece") for seed in (1, 1, 2))

    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert first.validation_rows.tolist() != other.validation_rows.tolist()
