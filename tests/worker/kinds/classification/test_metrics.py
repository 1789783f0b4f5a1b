"""Metrics of classifiers agree with scikit-learn and with cases worked by hand."""

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference

from shared.errors import NotAllowedNow
from shared.kinds.classification import METRICS
from worker.kinds.classification import metrics
from worker.kinds.classification.answers import LEAST_PROBABILITY
from worker.kinds.classification.data import Target

BINARY = Target(encoding="binary", labels=("pop", "rock"), positive="rock", columns=("genre",)).model_dump(mode="json")
THREE = Target(encoding="one_hot", labels=("jazz", "pop", "rock"), columns=("genre",)).model_dump(mode="json")
TAGS = Target(encoding="multi_hot", labels=("live", "loud", "old"), columns=("a", "b", "c")).model_dump(mode="json")


def values(found: dict[str, Any]) -> dict[str, float]:
    return {name: found[name]["value"] for name in METRICS if name in found}


@pytest.mark.parametrize("seed", range(3))
def test_two_classes_as_scikit_learn_has_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = (random.random((200, 1)) < 0.3).astype(np.float32)
    outputs = np.clip(random.normal(0.35 + 0.3 * truth, 0.25), 0.01, 0.99).astype(np.float32)
    classes, scores, said = truth[:, 0] > 0, outputs[:, 0], outputs[:, 0] > 0.5

    found = values(metrics.evaluate(BINARY, truth, outputs))

    precision, recall, f1, _ = reference.precision_recall_fscore_support(classes, said)
    assert set(found) == set(METRICS)
    expected = {
        "accuracy": reference.accuracy_score(classes, said),
        "balanced_accuracy": reference.balanced_accuracy_score(classes, said),
        "macro_precision": precision.mean(),
        "macro_recall": recall.mean(),
        "macro_f1": f1.mean(),
        "precision": precision[1],
        "recall": recall[1],
        "f1": f1[1],
        "roc_auc": reference.roc_auc_score(classes, scores),
        "pr_auc": reference.average_precision_score(classes, scores),
        "log_loss": reference.log_loss(classes, scores.astype(np.float64)),
        "calibration_error": found["calibration_error"],
    }
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_three_classes_as_scikit_learn_has_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    classes = random.integers(3, size=200)
    truth = np.eye(3, dtype=np.float32)[classes]
    raw = np.exp(random.normal(truth, 0.8))
    outputs = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    said = outputs.argmax(axis=1)

    found = metrics.evaluate(THREE, truth, outputs)

    precision, recall, f1, rows = reference.precision_recall_fscore_support(classes, said)
    exact = outputs.astype(np.float64) / outputs.astype(np.float64).sum(axis=1, keepdims=True)
    expected = {
        "accuracy": reference.accuracy_score(classes, said),
        "balanced_accuracy": reference.balanced_accuracy_score(classes, said),
        "macro_precision": precision.mean(),
        "macro_recall": recall.mean(),
        "macro_f1": f1.mean(),
        "roc_auc": reference.roc_auc_score(classes, exact, multi_class="ovr"),
        "pr_auc": reference.average_precision_score(truth, outputs),
        "log_loss": reference.log_loss(classes, exact),
        "calibration_error": found["calibration_error"]["value"],
    }
    assert values(found) == pytest.approx(expected, abs=1e-6)
    assert found["confusion_matrix"] == {
        "labels": ["jazz", "pop", "rock"], "rows": reference.confusion_matrix(classes, said).tolist(),
    }  # fmt: skip
    assert [each["rows"] for each in found["per_class"].values()] == rows.tolist()
    assert [each["f1"] for each in found["per_class"].values()] == pytest.approx(f1)


@pytest.mark.parametrize("seed", range(3))
def test_several_labels_as_scikit_learn_has_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = (random.random((200, 3)) < [0.2, 0.5, 0.7]).astype(np.float32)
    outputs = np.clip(random.normal(0.35 + 0.3 * truth, 0.25), 0.01, 0.99).astype(np.float32)
    said = outputs >= 0.5

    found = metrics.evaluate(TAGS, truth, outputs)

    macro = reference.precision_recall_fscore_support(truth, said, average="macro")
    micro = reference.precision_recall_fscore_support(truth, said, average="micro")
    columns = list(zip(truth.T, said.T, outputs.T.astype(np.float64), strict=True))
    expected = {
        "accuracy": reference.accuracy_score(truth, said),
        "balanced_accuracy": np.mean([reference.balanced_accuracy_score(true, each) for true, each, _ in columns]),
        **dict(zip(("macro_precision", "macro_recall", "macro_f1"), macro, strict=False)),
        **dict(zip(("precision", "recall", "f1"), micro, strict=False)),
        "roc_auc": reference.roc_auc_score(truth, outputs),
        "pr_auc": reference.average_precision_score(truth, outputs),
        "log_loss": np.mean([reference.log_loss(true, scores) for true, _, scores in columns]),
        "calibration_error": found["calibration_error"]["value"],
    }
    assert values(found) == pytest.approx(expected, abs=1e-6)
    assert list(found["per_class"]) == ["live", "loud", "old"] and "confusion_matrix" not in found


def test_a_case_by_hand() -> None:
    truth = np.array([[1], [1], [1], [0], [0]], np.float32)
    outputs = np.array([[0.9], [0.8], [0.5], [0.6], [0.1]], np.float32)

    found = metrics.evaluate(BINARY, truth, outputs)

    assert found["confusion_matrix"] == {"labels": ["pop", "rock"], "rows": [[1, 1], [1, 2]]}
    assert found["accuracy"] == {"value": pytest.approx(3 / 5), "interval": None}
    assert (found["precision"]["value"], found["recall"]["value"]) == pytest.approx((2 / 3, 2 / 3))
    assert found["per_class"]["pop"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}
    assert found["roc_auc"]["value"] == pytest.approx(5 / 6)
    assert found["log_loss"]["value"] == pytest.approx(-np.log([0.9, 0.8, 0.5, 0.4, 0.9]).mean(), abs=1e-6)


def test_an_absent_class_has_no_area_and_says_why() -> None:
    outputs = np.full((4, 3), 1 / 3, np.float32)

    found = metrics.evaluate(THREE, np.eye(3, dtype=np.float32)[[0, 1, 0, 1]], outputs)

    assert found["roc_auc"]["value"] is None and "of some label" in found["roc_auc"]["reason"]
    assert found["pr_auc"]["value"] is None
    assert found["balanced_accuracy"]["value"] == 0.5


def test_a_class_neither_true_nor_said_does_not_lower_the_mean() -> None:
    truth = np.eye(3, dtype=np.float32)[[0, 1]]

    found = metrics.evaluate(THREE, truth, truth * 0.8 + 0.05)

    assert found["macro_f1"]["value"] == 1.0


def test_certain_and_wrong_is_a_large_loss_and_not_an_infinite_one() -> None:
    found = metrics.evaluate(BINARY, np.array([[1], [0]], np.float32), np.array([[0], [1]], np.float32))

    assert found["log_loss"]["value"] == pytest.approx(-np.log(LEAST_PROBABILITY))


@pytest.mark.parametrize("target", [BINARY, THREE, TAGS])
def test_metrics_are_json(target: dict[str, Any]) -> None:
    described = Target.model_validate(target)
    truth = (
        np.eye(described.outputs, dtype=np.float32)[np.arange(20) % described.outputs] * (np.arange(20) % 2)[:, None]
    )

    found = metrics.evaluate(target, truth, np.full((20, described.outputs), 0.3, np.float32))

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_another_classifier_says_is_put_in_order_and_what_it_does_not_know_is_impossible() -> None:
    turned = Target(encoding="binary", labels=("rock", "pop"), positive="pop", columns=("genre",)).model_dump()
    both = Target(encoding="one_hot", labels=("pop", "rock"), columns=("genre",)).model_dump()
    tags = Target(encoding="multi_hot", labels=("old", "live"), columns=("c", "a")).model_dump()

    assert metrics.translate(BINARY, turned, np.array([[0.25]])).tolist() == [[0.75]]
    assert metrics.translate(BINARY, both, np.array([[0.25, 0.75]])).tolist() == [[0.75]]
    assert metrics.translate(THREE, BINARY, np.array([[0.25]])).tolist() == [[0, 0.75, 0.25]]
    assert metrics.translate(TAGS, tags, np.array([[0.25, 0.5]])).tolist() == [[0.5, 0, 0.25]]


@pytest.mark.parametrize(
    ("target", "other", "said"),
    [
        (BINARY, THREE, "'jazz'"),
        (THREE, TAGS, "otherwise"),
        (BINARY, {**BINARY, "columns": ["mood"]}, "it predicts 'mood'"),
        (TAGS, {**TAGS, "labels": ["live", "slow", "old"]}, "'slow'"),
    ],
    ids=["a label too many", "several labels", "another column", "another tag"],
)
def test_a_classifier_that_answers_another_question_is_not_compared(
    target: dict[str, Any], other: dict[str, Any], said: str
) -> None:
    outputs = np.full((1, Target.model_validate(other).outputs), 0.5)

    with pytest.raises(NotAllowedNow, match=said):
        metrics.translate(target, other, outputs)
