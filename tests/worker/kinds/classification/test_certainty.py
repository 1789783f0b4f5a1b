"""What a classifier learns from held-out rows beside its network: temperature, thresholds, when it says nothing."""

import json
from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from shared.kinds.classification import TrainParams
from worker.kinds.classification import certainty, metrics
from worker.kinds.classification.data import Target
from worker.kinds.protocol import Settled

Json = dict[str, Any]
TARGETS = {
    "binary": {"encoding": "binary", "labels": ["pop", "rock"], "positive": "rock", "columns": ["genre"]},
    "one_hot": {"encoding": "one_hot", "labels": ["a", "b", "c"], "columns": ["key"]},
    "multi_hot": {"encoding": "multi_hot", "labels": ["live", "old"], "columns": ["live", "old"]},
}


def held_out(encoding: str, rows: int = 600, *, by: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and outputs of a model that is right as often as its logits say, once these are divided by `by`."""
    random = np.random.default_rng(7)
    if encoding == "one_hot":
        logits = random.normal(0, 1.5, (rows, 3))
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        classes = (random.uniform(size=(rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        outputs = np.exp(by * logits) / np.exp(by * logits).sum(axis=1, keepdims=True)
        return np.eye(3, dtype=np.float32)[classes], outputs.astype(np.float32)
    logits = random.normal(-1, 1.5, (rows, 1 if encoding == "binary" else 2))
    truth = random.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))
    return truth.astype(np.float32), (1 / (1 + np.exp(-by * logits))).astype(np.float32)


def settle(encoding: str, truth: np.ndarray, outputs: np.ndarray, **params: Any) -> Settled:
    return certainty.settle(TARGETS[encoding], truth, outputs, np.arange(len(truth)), TrainParams(**params))


@pytest.mark.parametrize("encoding", TARGETS)
def test_an_overconfident_classifier_is_calibrated_by_rows_that_did_not_choose(encoding: str) -> None:
    truth, outputs = held_out(encoding)

    settled = settle(encoding, truth, outputs)

    told = settled.told["calibration"]
    found = told["temperature"] if encoding == "multi_hot" else {"all": told["temperature"]}
    assert all(value == pytest.approx(4.0, rel=0.35) for value in found.values())
    assert told["before"]["calibration_error"] > 0.05
    assert told["after"]["calibration_error"] < told["before"]["calibration_error"] / 2
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    judged = metrics.evaluate(TARGETS[encoding], truth, settled.outputs)
    assert judged["calibration_error"]["value"] == told["after"]["calibration_error"]
    assert sum(each["rows"] for each in told["reliability"]) == truth.shape[0] * (2 if encoding == "multi_hot" else 1)
    assert json.loads(json.dumps([settled.told, settled.target], allow_nan=False)) == [settled.told, settled.target]


@pytest.mark.parametrize("encoding", TARGETS)
def test_a_classifier_that_is_calibrated_already_is_hardly_moved(encoding: str) -> None:
    truth, outputs = held_out(encoding, by=1.0)

    settled = settle(encoding, truth, outputs)

    told = settled.told["calibration"]
    assert ("reason" in told) == (settled.target["temperatures"] == [])
    after = told["before"] if "reason" in told else told["after"]
    assert after["calibration_error"] <= told["before"]["calibration_error"]


@pytest.mark.parametrize(
    ("params", "rows"), [({"calibration": "none"}, 600), ({}, 29), ({"calibration": "temperature"}, 29)]
)
def test_without_being_asked_for_or_of_too_few_rows_the_probabilities_stay(params: Json, rows: int) -> None:
    truth, outputs = held_out("binary", rows)

    settled = settle("binary", truth, outputs, **params)

    assert settled.target["temperatures"] == [] and settled.told["calibration"]["temperature"] == 1.0
    assert np.array_equal(settled.outputs, outputs) and settled.told["calibration"]["reason"]
    assert [caution.code for caution in settled.cautions] == (
        ["too_few_held_out"] if params.get("calibration") == "temperature" else []
    )


def test_with_nothing_held_out_there_is_nothing_to_tell_but_thresholds_that_were_named_stand() -> None:
    none = np.empty((0, 1), np.float32)

    settled = settle("binary", none, none, thresholds={"rock": 0.3})

    assert settled.told == {} and settled.target["thresholds"] == {"rock": 0.3}


@pytest.mark.parametrize("encoding", TARGETS)
def test_equal_probabilities_and_one_class_held_out_end_in_finite_figures(encoding: str) -> None:
    truth, outputs = held_out(encoding, 60)
    one_class = np.tile(truth[:1], (60, 1))
    abstain = {"abstain": {"accuracy": 0.9}}

    for true, said in ((truth, np.full_like(outputs, 0.5)), (one_class, outputs), (one_class, np.ones_like(outputs))):
        settled = settle(encoding, true, said, calibration="temperature", **abstain)
        assert np.isfinite(settled.outputs).all()
        json.dumps([settled.told, settled.target], allow_nan=False)


@pytest.mark.parametrize(("encoding", "labels"), [("binary", ["rock"]), ("multi_hot", ["live", "old"])])
def test_thresholds_are_chosen_by_f1_and_told_by_rows_that_did_not_choose(encoding: str, labels: list[str]) -> None:
    truth, outputs = held_out(encoding)

    settled = settle(encoding, truth, outputs, thresholds="auto")

    assert list(settled.told["thresholds"]) == labels == list(settled.target["thresholds"])
    for told in settled.told["thresholds"].values():
        # Labels of which a third is true are said best below one half.
        assert 0 < told["threshold"] < 0.5 and told["f1"] > told["f1_at_half"]


def test_named_thresholds_are_kept_as_they_are() -> None:
    truth, outputs = held_out("multi_hot")

    settled = settle("multi_hot", truth, outputs, thresholds={"old": 0.7})

    assert settled.target["thresholds"] == {"old": 0.7}


@pytest.mark.parametrize(
    ("encoding", "thresholds", "code"),
    [
        ("one_hot", "auto", "thresholds_misfit"),
        ("one_hot", {"a": 0.4}, "thresholds_misfit"),
        ("binary", {"jazz": 0.4}, "label_unknown"),
        ("binary", {"pop": 0.4}, "label_unknown"),
        ("multi_hot", {"live": 0.4, "new": 0.4}, "label_unknown"),
    ],
)
def test_thresholds_that_cannot_be_are_refused_before_the_training(encoding: str, thresholds: Any, code: str) -> None:
    with pytest.raises(JobFailed) as refused:
        certainty.refuse(TARGETS[encoding], TrainParams(thresholds=thresholds))

    assert refused.value.code == code and refused.value.faults[0].pointer.startswith("/params/thresholds")


@pytest.mark.parametrize("encoding", ["binary", "one_hot"])
def test_abstaining_reaches_the_accuracy_that_is_wanted(encoding: str) -> None:
    truth, outputs = held_out(encoding)

    settled = settle(encoding, truth, outputs, abstain={"accuracy": 0.9})

    told = settled.told["abstaining"]
    assert settled.target["abstain_below"] == told["below"]
    assert told["accuracy"] >= 0.9 and 0 < told["coverage"] < 1
    assert told["cross_fitted"]["accuracy"] == pytest.approx(0.9, abs=0.1)
    again = certainty.abstaining(Target.model_validate(settled.target), truth, outputs)["abstaining"]
    assert again == {name: told[name] for name in ("below", "coverage", "accuracy")}


def test_an_accuracy_that_nothing_reaches_is_said_and_every_row_gets_its_label() -> None:
    _, outputs = held_out("binary")

    settled = settle("binary", 1 - (outputs > 0.5).astype(np.float32), outputs, abstain={"accuracy": 0.99})

    assert settled.target["abstain_below"] is None and settled.told["abstaining"]["below"] is None
    assert [caution.code for caution in settled.cautions] == ["abstain_unreachable"]
