"""What a scoring of a table says of each row beside its prediction, of models whose weights are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from shared.errors import JobFailed
from shared.networks import Layer
from shared.table_params import RowExplanation, TableScoring
from tests.worker import canonical
from worker import artifacts, explanations, features, kinds, nearest_examples, networks, predictions
from worker.artifacts import Model
from worker.features import Category, Feature, Number
from worker.input_statistics import InputStatistics
from worker.networks import NetworkSpec
from worker.predictions import Answer

Json = dict[str, Any]

# Tempo counts 2 a deviation, with holes; energy nothing; the key C 1 and G -1.
FEATURES = (
    Number(name="tempo", fill=120.0, mean=120.0, scale=20.0, indicator=True),
    Number(name="energy", fill=0.0, mean=0.5, scale=0.25),
    Category(name="key", words=("C", "G")),
)
KERNEL = [2.0, 0.5, 0.0, 1.0, -1.0]
STATISTICS = InputStatistics(
    mean=np.array([0.0, 0.0, 0.0, 0.5, 0.5], np.float32),
    deviation=np.array([1.0, 1.0, 1.0, 0.5, 0.5], np.float32),
    low=np.array([-3.0, 0.0, -2.0, 0.0, 0.0], np.float32),
    high=np.array([3.0, 1.0, 2.0, 1.0, 1.0], np.float32),
)
SONGS = {
    "id": ["a", "b", "c"],
    "tempo": [140.0, None, 100.0],
    "energy": [0.5, 0.75, 0.25],
    "key": ["C", "G", "other"],
}
GENRE: Json = {"encoding": "binary", "labels": ["pop", "rock"], "positive": "rock", "columns": ["genre"]}
LOUDNESS: Json = {"columns": ["loudness"], "mean": [10.0], "scale": [5.0], "spread": [5.0]}


def model(kind: str, target: Json, kernel: Any, *, output: str, statistics: InputStatistics | None) -> Model:
    kernel = np.array(kernel, np.float32).reshape(5, -1)
    weights = {"output.kernel": kernel, "output.bias": np.zeros(kernel.shape[1], np.float32)}
    spec = NetworkSpec(5, kernel.shape[1], (), output)
    return Model(kind, spec, weights, features.as_json(FEATURES), target, inputs=statistics)


def classifier(statistics: InputStatistics | None = STATISTICS) -> Model:
    return model("classification", GENRE, KERNEL, output="sigmoid", statistics=statistics)


def regression() -> Model:
    return model("regression", LOUDNESS, KERNEL, output="linear", statistics=STATISTICS)


def score(
    folder: Path, of: Model, asked: Json, songs: Json | None = None, *, examples: bytes | None = None, **made: Any
) -> list[Json]:
    """The rows of a scoring that explains, as they stand in the JSON Lines."""
    paths, profile = canonical.write(folder, songs or SONGS, id="id", **made)
    scorer = kinds.find(of.kind).predict.open(of)
    known = None if examples is None else nearest_examples.unpack(examples, inputs=5)
    explainer = explanations.open(of, scorer, RowExplanation.model_validate(asked), examples=known)
    predictions.score(
        paths, profile, scorer, TableScoring(), folder=folder, progress=lambda done, total: None,
        explain=explainer.explain,
    )  # fmt: skip
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def added(explanation: Json) -> dict[str, float]:
    return {each["column"]: each["attribution"] for each in explanation["attributions"]}


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_of_a_linear_regression_every_column_adds_what_its_weights_say(tmp_path: Path) -> None:
    rows = score(tmp_path, regression(), {})

    first, second, third = (row["explanation"] for row in rows)
    # Five units a deviation; the words' inputs are summed, and measured from the shares that they had.
    assert added(first) == pytest.approx({"tempo": 10.0, "energy": 0.0, "key": 5.0}, abs=1e-4)
    assert (first["baseline_prediction"], first["prediction"]) == pytest.approx((10.0, 25.0), abs=1e-4)
    assert added(second) == pytest.approx({"tempo": 2.5, "energy": 0.0, "key": -5.0}, abs=1e-4)
    assert added(third) == pytest.approx({"tempo": -10.0, "energy": 0.0, "key": 0.0}, abs=1e-4)
    assert [row["prediction"] for row in rows] == pytest.approx([each["prediction"] for each in (first, second, third)])
    assert first["of"] == "loudness" and first["steps"] == 64 and first["completeness_error"] < 0.005 * 5


def test_the_cells_are_told_as_the_client_has_them(tmp_path: Path) -> None:
    rows = score(tmp_path, regression(), {})

    values = [{each["column"]: each["value"] for each in row["explanation"]["attributions"]} for row in rows]
    assert values == [{"tempo": 140.0, "key": "C", "energy": 0.5}, {"tempo": None, "key": "G", "energy": 0.75},
                      {"tempo": 100.0, "key": "other", "energy": 0.25}]  # fmt: skip


def test_of_a_classification_the_probability_of_what_is_predicted_is_explained(tmp_path: Path) -> None:
    rows = score(tmp_path, classifier(), {})

    for row in rows:
        said = row["explanation"]
        assert said["of"] == row["prediction"]
        assert said["prediction"] == pytest.approx(row["probabilities"][row["prediction"]], abs=1e-5)
        whole = said["prediction"] - said["baseline_prediction"]
        assert sum(added(said).values()) == pytest.approx(whole, abs=said["completeness_error"] + 1e-5)
        assert said["completeness_error"] <= 0.005
    assert rows[0]["explanation"]["prediction"] == pytest.approx(sigmoid(3.0), abs=1e-5)
    assert rows[2]["prediction"] == "pop" and added(rows[2]["explanation"])["tempo"] > 0.3


def test_of_several_classes_and_of_several_labels(tmp_path: Path) -> None:
    target = {"encoding": "one_hot", "labels": ["a", "b", "c"], "columns": ["genre"]}
    kernel = np.random.default_rng(0).normal(size=(5, 3))
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()

    one = score(tmp_path / "one", model("classification", target, kernel, output="softmax", statistics=STATISTICS), {})
    several = model(
        "classification", {**target, "encoding": "multi_hot"}, kernel, output="sigmoid", statistics=STATISTICS
    )
    many = score(tmp_path / "many", several, {})

    assert [row["explanation"]["of"] for row in one] == [row["prediction"] for row in one]
    for row in many:
        each = row["explanation"]["each"]
        assert sorted(said["of"] for said in each) == ["a", "b", "c"]
        assert [said["prediction"] for said in each] == sorted((said["prediction"] for said in each), reverse=True)
        for said in each:
            assert said["prediction"] == pytest.approx(row["probabilities"][said["of"]], abs=1e-5)


def test_of_several_targets_each_is_explained_in_its_own_units(tmp_path: Path) -> None:
    target = {"columns": ["loud", "long"], "mean": [0.0, 100.0], "scale": [1.0, 10.0]}
    kernel = np.stack([KERNEL, np.array(KERNEL) * 2], axis=1)

    rows = score(tmp_path, model("regression", target, kernel, output="linear", statistics=STATISTICS), {})

    each = rows[0]["explanation"]["each"]
    assert [said["of"] for said in each] == ["loud", "long"]
    assert added(each[0])["tempo"] == pytest.approx(2.0, abs=1e-4)
    assert added(each[1])["tempo"] == pytest.approx(40.0, abs=1e-3)


def test_only_the_largest_are_named_and_the_rest_is_summed(tmp_path: Path) -> None:
    rows = score(tmp_path, regression(), {"top": 1})

    first = rows[0]["explanation"]
    assert list(added(first)) == ["tempo"] and first["rest"] == pytest.approx(5.0, abs=1e-4)


def test_in_parquet_and_csv_the_explanation_is_json_text(tmp_path: Path) -> None:
    rows = score(tmp_path, regression(), {})

    kept = pq.read_table(tmp_path / "predictions.parquet")["explanation"].to_pylist()
    assert [json.loads(text) for text in kept] == [row["explanation"] for row in rows]
    assert '""of"": ""loudness""' in (tmp_path / "predictions.csv").read_text()


def test_a_row_that_cannot_be_scored_is_told_and_the_others_are_explained(tmp_path: Path) -> None:
    songs = {**SONGS, "tempo": [140.0, float("inf"), 100.0]}

    rows = score(tmp_path, regression(), {"counterfactual": True}, songs)

    assert [row["key"] for row in rows] == ["a", "c"]
    assert added(rows[1]["explanation"])["tempo"] == pytest.approx(-10.0, abs=1e-4)
    assert json.loads((tmp_path / "errors.jsonl").read_text())["key"] == "b"


def test_a_row_whose_way_from_the_baseline_is_no_number_has_null(tmp_path: Path) -> None:
    # Halfway there the hidden unit overflows, and its slope is infinitely many times nothing.
    spec = NetworkSpec(5, 1, (Layer(units=1, activation="exponential"),), "sigmoid")
    weights = {
        "hidden.0.kernel": np.array([[10.0], [0], [0], [0], [0]], np.float32), "hidden.0.bias": np.zeros(1, np.float32),
        "output.kernel": np.ones((1, 1), np.float32), "output.bias": np.zeros(1, np.float32),
    }  # fmt: skip
    of = Model("classification", spec, weights, features.as_json(FEATURES), GENRE, inputs=STATISTICS)

    rows = score(tmp_path, of, {"counterfactual": True}, {**SONGS, "tempo": [140.0, 120.0, 2e5]})

    assert [row["prediction"] for row in rows] == ["rock", "rock", "rock"]
    assert [row["explanation"] is None for row in rows] == [False, False, True]
    assert pq.read_table(tmp_path / "predictions.parquet")["explanation"].null_count == 1


def test_a_version_from_before_this_was_kept_is_explained_from_zeros(tmp_path: Path) -> None:
    rows = score(tmp_path, classifier(statistics=None), {})

    assert rows[0]["explanation"]["baseline_prediction"] == pytest.approx(0.5)
    assert artifacts.unpack(artifacts.pack(classifier(statistics=None))).inputs is None


def test_what_a_model_keeps_is_packed_with_it(tmp_path: Path) -> None:
    kept = artifacts.unpack(artifacts.pack(classifier())).inputs

    assert kept is not None
    np.testing.assert_array_equal(kept.mean, STATISTICS.mean)
    damaged = {**artifacts.pack(classifier()), "inputs.safetensors": b"damaged"}
    with pytest.raises(JobFailed) as failed:
        artifacts.unpack(damaged)
    assert failed.value.code == "integrity"


def test_a_counterfactual_is_the_least_change_in_the_client_s_units(tmp_path: Path) -> None:
    rows = score(tmp_path, classifier(), {"counterfactual": True})

    # Tempo 140 and C are 3; at minus half a deviation they are 0.
    found = rows[0]["explanation"]["counterfactual"]
    (change,) = found["changes"]
    assert (change["column"], change["from"]) == ("tempo", 140.0)
    assert change["to"] == pytest.approx(110.0, abs=0.01) and change["to"] < 110.0
    assert found["distance"] == pytest.approx(1.5, abs=1e-3) and found["prediction"] == "pop"


def test_a_cell_that_is_empty_and_a_column_that_is_fixed_are_not_to_be_changed(tmp_path: Path) -> None:
    (tmp_path / "free").mkdir()
    (tmp_path / "fixed").mkdir()

    free = score(tmp_path / "free", classifier(), {"counterfactual": True})
    fixed = score(tmp_path / "fixed", classifier(), {"counterfactual": {"fixed": ["tempo"]}})

    # The second row's tempo is empty, and its energy tells nothing.
    assert free[1]["explanation"]["counterfactual"] is None
    assert [row["explanation"]["counterfactual"] for row in fixed] == [None, None, None]


def test_of_a_regression_it_is_a_standard_deviation_away(tmp_path: Path) -> None:
    rows = score(tmp_path, regression(), {"counterfactual": True})

    found = rows[0]["explanation"]["counterfactual"]
    assert abs(found["changes"][0]["to"] - 140.0) == pytest.approx(10.0, abs=0.01)
    assert abs(found["prediction"] - rows[0]["prediction"]) == pytest.approx(5.0, abs=0.01)


def test_the_nearest_known_rows_are_named_with_their_labels(tmp_path: Path) -> None:
    x = np.array([[1.0, 0, 0, 1, 0], [-1.0, 0, -1, 0, 0]], np.float32)
    places = nearest_examples.standardise(FEATURES, STATISTICS, x)
    content = nearest_examples.pack(["p1", 7], ["rock", "pop"], places)

    rows = score(tmp_path, classifier(), {"nearest": 5}, examples=content)

    first, _, third = (row["explanation"]["nearest"] for row in rows)
    assert first[0] == {"key": "p1", "distance": 0.0, "label": "rock"}
    assert first[1]["distance"] == pytest.approx(np.sqrt(4 + 1 + 1), rel=1e-3)
    assert [each["key"] for each in third] == [7, "p1"]


def test_a_table_without_one_row_is_explained_in_no_time(tmp_path: Path) -> None:
    songs = {"id": ["a"], "tempo": [float("inf")], "energy": [0.5], "key": ["C"]}

    assert score(tmp_path, classifier(), {"counterfactual": True, "top": 3}, songs) == []


def test_many_rows_are_explained_in_parts_and_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "AT_ONCE", 64)
    rows = 300
    songs = {"id": list(range(rows)), "tempo": np.arange(rows) + 0.0, "energy": [0.5] * rows, "key": ["C"] * rows}

    found = score(tmp_path, regression(), {"top": 1}, songs, part_rows=130)

    tempos = [row["explanation"]["attributions"][0]["value"] for row in found if row["key"] not in range(105, 135)]
    assert tempos == [float(row) for row in range(rows) if row not in range(105, 135)]


def test_of_a_large_network_few_rows_are_a_chunk() -> None:
    small = NetworkSpec(50, 3, (Layer(units=64),), "softmax")
    giant = NetworkSpec(10_000, 3, (Layer(units=10_000),), "softmax")

    assert explanations.chunk_rows(small) == explanations.CHUNK_ROWS
    assert 1 <= explanations.chunk_rows(giant) < 100


def test_a_kind_that_says_nothing_of_its_answers_cannot_be_explained() -> None:
    class Silent:
        features: tuple[Feature, ...] = FEATURES
        outputs = 1

        def network(self, x: np.ndarray) -> np.ndarray:
            return x[:, :1]

        def answer(self, outputs: np.ndarray) -> Answer:
            return Answer({}, np.zeros(1))

        def summarise(self, totals: np.ndarray, rows: int) -> Json:
            return {}

    with pytest.raises(JobFailed) as failed:
        explanations.open(classifier(), Silent(), RowExplanation(), examples=None)

    assert failed.value.code == "explanation_unkept"


def test_a_deep_network_s_columns_add_up_to_its_answer(tmp_path: Path) -> None:
    spec = NetworkSpec(5, 1, (Layer(units=16, activation="gelu", batch_normalization=True),), "sigmoid")
    weights = networks.weights(networks.build(spec, seed=2))
    of = Model("classification", spec, weights, features.as_json(FEATURES), GENRE, inputs=STATISTICS)

    for row in score(tmp_path, of, {"top": 100}):
        said = row["explanation"]
        whole = said["prediction"] - said["baseline_prediction"]
        assert sum(added(said).values()) == pytest.approx(whole, abs=said["completeness_error"] + 1e-5)
        assert said["rest"] == pytest.approx(0, abs=1e-9)
