"""From outputs to labels and probabilities."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker.features import Number
from worker.kinds.classification.data import Target
from worker.kinds.classification.predict import Classifier
from worker.prediction_files import ChunkFiles, PredictionFiles


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


def test_probabilities_are_at_the_temperature_of_the_target_and_labels_from_their_thresholds_on() -> None:
    labels = {"encoding": "binary", "labels": ("rock", "pop"), "positive": "pop", "columns": ("genre",)}
    target = Target.model_validate({**labels, "temperatures": [2.0], "thresholds": {"pop": 0.3}})

    answer = classifier(target).answer(np.array([[0.2], [0.1]], np.float32))

    # Of 1 to 4 and of 1 to 9 the logits are halved: 1 to 2 and 1 to 3.
    assert answer.fields["probabilities"]["pop"].to_pylist() == pytest.approx([1 / 3, 1 / 4])
    assert answer.fields["prediction"].to_pylist() == ["pop", "rock"]


@pytest.mark.parametrize("encoding", ["one_hot", "multi_hot"])
def test_a_row_that_is_too_uncertain_is_given_no_label_in_any_file(encoding: str, tmp_path: Path) -> None:
    target = {"encoding": encoding, "labels": ["a", "b"], "columns": ["key"], "abstain_below": 0.7}
    scorer = classifier(Target.model_validate(target))

    answer = scorer.answer(np.array([[0.1, 0.9], [0.45, 0.55]], np.float32))

    said = ["b", None] if encoding == "one_hot" else [["b"], None]
    assert answer.fields["prediction"].to_pylist() == said
    assert answer.fields["abstained"].to_pylist() == [False, True]
    assert scorer.summarise(answer.totals, 2) == {
        "classes": {"a": 0, "b": 1}, "abstained": 1, "mean_confidence": pytest.approx(0.725)
    }  # fmt: skip
    rows = {"key": pa.array([1, 2]), **answer.fields}
    with PredictionFiles(tmp_path, ["parquet", "csv", "jsonl"], {**rows}) as files:
        with ChunkFiles(tmp_path / "chunk", ["parquet", "csv", "jsonl"], rows) as chunk:
            chunk.write(rows, {"key": pa.array([], pa.int64())})
            archive = chunk.pack()
        files.append(archive)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == said
    assert [line["abstained"] for line in lines] == [False, True]
    assert pq.read_table(tmp_path / "predictions.parquet")["prediction"].to_pylist() == said
    cells = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert [(row["prediction"], row["abstained"]) for row in cells] == [("b", "false"), ("", "true")]


def test_of_a_limit_of_0_no_row_is_silent() -> None:
    target = Target(encoding="one_hot", labels=("a", "b", "c"), columns=("key",), abstain_below=0.0)

    answer = classifier(target).answer(np.full((2, 3), 1 / 3, np.float32))

    assert answer.fields["abstained"].to_pylist() == [False, False]
