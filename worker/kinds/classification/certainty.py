"""How sure a classifier says it is, from where on it says a label, and when nothing: all from held-out rows.

What the figures say of a choice is cross-fitted: each half of the rows is judged by what the other half chose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.errors import Fault, JobFailed
from shared.kinds.classification import TrainParams
from worker import calibration, curves
from worker.artifacts import Model
from worker.calibration import FEWEST_ROWS, THRESHOLD
from worker.cautions import Caution
from worker.kinds.classification import metrics
from worker.kinds.classification.answers import confidence_of, is_right, probabilities_of, rates, sureness
from worker.kinds.classification.data import Target
from worker.kinds.protocol import Settled
from worker.preparation import listed

Json = dict[str, Any]

CODE = "too_few_held_out"
TOO_FEW = f"at least {FEWEST_ROWS} held-out rows of two groups are needed"
# By these it is told whether a temperature has helped.
JUDGED_BY = ("calibration_error", "log_loss")


@dataclass(frozen=True)
class _HeldOut:
    """Truth and outputs (rows, outputs), and which rows are the first half; None where they are too few to divide."""

    target: Target
    truth: np.ndarray
    outputs: np.ndarray
    half: np.ndarray | None


def refuse(target: Json, params: TrainParams) -> None:
    """Raise JobFailed, before anything is trained, for thresholds that the target cannot have."""
    described, asked = Target.model_validate(target), params.thresholds
    if asked is None:
        return
    known = _labels(described)
    if not known:
        said = f"expected no thresholds: the likeliest of {len(described.labels)} classes is said; abstain is for these"
        fault = Fault(said, pointer="/params/thresholds")
        raise JobFailed(f"The thresholds do not fit: {said}.", code="thresholds_misfit", faults=[fault])
    strange = [label for label in asked if label not in known] if isinstance(asked, dict) else []
    if strange:
        said = f"expected thresholds of the target's {len(known)} labels, received {listed(strange)}"
        faults = [Fault("expected a label of the target", pointer=f"/params/thresholds/{each}") for each in strange]
        raise JobFailed(f"The thresholds do not fit: {said}.", code="label_unknown", faults=faults)


def settle(target: Json, truth: np.ndarray, outputs: np.ndarray, units: np.ndarray, params: TrainParams) -> Settled:
    """The target with all that the held-out rows (rows, outputs) teach; `units` says which of them belong together."""
    plain = Target.model_validate(target)
    rows = _HeldOut(plain, truth, outputs, calibration.halves(units, seed=params.seed))
    cautions = [] if rows.half is not None else _cautions(params)
    temperatures, judged, told = _temper(rows, params)
    kept = plain.model_copy(update={"temperatures": temperatures})
    thresholds, figures = _thresholds(rows, kept, params)
    kept, told = kept.model_copy(update={"thresholds": thresholds}), {**told, **figures}
    if params.abstain is not None and rows.half is not None:
        below, told["abstaining"] = _abstain(rows, kept, params.abstain.accuracy)
        kept = kept.model_copy(update={"abstain_below": below})
        if below is None:
            cautions.append(Caution("abstain_unreachable", told["abstaining"]["reason"]))
    return Settled(kept.model_dump(mode="json"), judged, told if len(truth) else {}, cautions)


def fold(model: Model) -> Model:
    """The model with its temperatures in the output layer: its logits are divided by them there, which is exact."""
    target = Target.model_validate(model.target)
    if not target.temperatures:
        return model
    scale = (1 / np.array(target.temperatures)).astype(np.float32)
    output = {name: model.weights[name] * scale for name in ("output.kernel", "output.bias")}
    plain = target.model_copy(update={"temperatures": ()})
    return replace(model, weights={**model.weights, **output}, target=plain.model_dump(mode="json"))


def _labels(target: Target) -> list[str]:
    """Those that have a threshold."""
    if target.encoding == "multi_hot":
        return list(target.labels)
    return [target.positive] if target.encoding == "binary" and target.positive is not None else []


def _cautions(params: TrainParams) -> list[Caution]:
    """What was asked for and cannot be learned."""
    wanted = {
        "calibration": params.calibration == "temperature",
        "thresholds": params.thresholds == "auto",
        "abstain": params.abstain is not None,
    }
    return [Caution(CODE, f"{name} is left as it is: {TOO_FEW}") for name, is_wanted in wanted.items() if is_wanted]


def _temper(rows: _HeldOut, params: TrainParams) -> tuple[tuple[float, ...], np.ndarray, Json]:
    """The temperatures that are kept, the outputs by which the version is judged, and what is told of both."""
    before = _errors(rows.target, rows.truth, rows.outputs)
    found: tuple[float, ...] = ()
    judged, after, reason = rows.outputs, None, None
    if params.calibration == "none":
        reason = "calibration is none"
    elif rows.half is None:
        reason = TOO_FEW
    else:
        found, tempered = _fitted(rows)
        after = _errors(rows.target, rows.truth, tempered)
        if params.calibration == "auto" and _is_worse(after, before):
            found, reason = (), "no temperature makes held-out rows better that it was not chosen by"
        else:
            judged = tempered
    told = {
        "temperature": _told(rows.target, found),
        "before": before,
        "after": after,
        "reliability": curves.reliability(*sureness(rows.target, rows.truth, judged)) if len(judged) else [],
        **({} if reason is None else {"reason": reason}),
    }
    return found, judged, {"calibration": told}


def _is_worse(after: Json, before: Json) -> bool:
    return any(after[name] > before[name] for name in JUDGED_BY)


def _fitted(rows: _HeldOut) -> tuple[tuple[float, ...], np.ndarray]:
    """The temperatures of all rows, and the rows by those of the other half."""
    is_softmax, half = rows.target.encoding == "one_hot", rows.half
    assert half is not None

    def choose(chosen: np.ndarray) -> calibration.Chosen:
        found = calibration.fit(rows.truth[chosen], rows.outputs[chosen], is_softmax=is_softmax)
        return lambda outputs: calibration.scaled(outputs, found, is_softmax=is_softmax)

    tempered = calibration.crossed(half, rows.outputs, choose)
    return calibration.fit(rows.truth, rows.outputs, is_softmax=is_softmax), tempered


def _told(target: Target, temperatures: Sequence[float]) -> float | Json:
    """One number, or one a label where a row has several; 1 where the probabilities are left as they are."""
    if target.encoding != "multi_hot":
        return temperatures[0] if temperatures else 1.0
    return dict(zip(target.labels, temperatures or [1.0] * len(target.labels), strict=True))


def _errors(target: Target, truth: np.ndarray, outputs: np.ndarray) -> Json:
    if not len(truth):
        return dict.fromkeys(JUDGED_BY)
    said = metrics.evaluate(target.model_dump(mode="json"), truth, outputs)
    return {name: said[name]["value"] for name in JUDGED_BY}


def _thresholds(rows: _HeldOut, kept: Target, params: TrainParams) -> tuple[dict[str, float], Json]:
    """The threshold of each label, and what it makes of the held-out rows beside one half."""
    asked, labels = params.thresholds, _labels(kept)
    if asked is None or (asked == "auto" and rows.half is None):
        return {}, {}
    named = labels if asked == "auto" else [label for label in labels if label in asked]
    probabilities = probabilities_of(kept, rows.outputs)
    found: dict[str, float] = {}
    told: Json = {}
    for label in named:
        place = kept.labels.index(label)
        truth = rows.truth[:, 0 if kept.encoding == "binary" else place] > 0
        given = asked[label] if isinstance(asked, dict) else None
        found[label], told[label] = _threshold(truth, probabilities[:, place], rows.half, given)
    return found, {"thresholds": told}


def _threshold(
    truth: np.ndarray, probabilities: np.ndarray, half: np.ndarray | None, given: float | None
) -> tuple[float, Json]:
    def choose(chosen: np.ndarray) -> calibration.Chosen:
        threshold = calibration.best_threshold(truth[chosen], probabilities[chosen])
        return lambda each: each >= threshold

    if given is not None or half is None:
        threshold = THRESHOLD if given is None else given
        said = probabilities >= threshold
    else:
        threshold = calibration.best_threshold(truth, probabilities)
        said = calibration.crossed(half, probabilities, choose)
    at_half = _rates(truth, probabilities >= THRESHOLD)
    return threshold, {"threshold": threshold, **_rates(truth, said), "f1_at_half": at_half["f1"]}


def _rates(truth: np.ndarray, said: np.ndarray) -> dict[str, float]:
    found = rates(*(np.asarray(each.sum()) for each in (truth & said, truth, said)))
    return {name: float(value) for name, value in found.items()}


def _abstain(rows: _HeldOut, kept: Target, wanted: float) -> tuple[float | None, Json]:
    """The confidence below which nothing is said, so that so many of the other rows are right."""
    half = rows.half
    assert half is not None
    confidence = confidence_of(kept, probabilities_of(kept, rows.outputs))
    right = is_right(kept, rows.truth, rows.outputs)

    def choose(chosen: np.ndarray) -> calibration.Chosen:
        found = calibration.least_confidence(confidence[chosen], right[chosen], wanted)
        return lambda each: each >= (np.inf if found is None else found)

    below = calibration.least_confidence(confidence, right, wanted)
    if below is None:
        reason = f"however sure it is, fewer than {wanted:.0%} of the held-out rows are right: it says something always"
        return None, {"wanted": wanted, "below": None, "reason": reason, "coverage": None, "accuracy": None}
    crossed = _covered(calibration.crossed(half, confidence, choose), right)
    told = {"wanted": wanted, "below": below, **_covered(confidence >= below, right)}
    return below, {**told, "cross_fitted": crossed}


def abstaining(target: Target, truth: np.ndarray, outputs: np.ndarray) -> Json:
    """Of how many rows something is said, and how often that is right; empty where something always is."""
    if target.abstain_below is None:
        return {}
    confidence = confidence_of(target, probabilities_of(target, outputs))
    covered = _covered(confidence >= target.abstain_below, is_right(target, truth, outputs))
    return {"abstaining": {"below": target.abstain_below, **covered}}


def _covered(is_said: np.ndarray, right: np.ndarray) -> Json:
    return {
        "coverage": float(is_said.mean()),
        "accuracy": float(right[is_said].mean()) if is_said.any() else None,
    }
