"""What a version says of the privacy of its training: a number only where every step to it was accounted for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.privacy_params import PrivateSteps
from shared.table_params import TableTraining
from worker.private import accounting
from worker.private.plan import Plan

Json = dict[str, Any]

NONE = "none"
KNOWN_SEED = (
    "the noise was drawn from a seed that stands in the params: who reads them can take it away again. Train without "
    "noise_seed"
)
DECLARED = "as declared in params.privacy and by no row: bounds, categories and labels are those of the client"
UNTOUCHED = "none: the numbers go in as they are"
HEARD = (
    "none: embeddings by pretrained networks, which no row of these trained, go in as they are; labels, and the bounds "
    "of a target, are as declared in params.privacy"
)
# What else a training tells of its rows.
NOT_COUNTED = (
    "the figures, warnings, membership report and leakage report of the version, and the division of the rows",
    "held-out rows, which are not protected",
    "other trainings on the same rows, and a choice among them",
    "the number of units that train, which is taken as public",
    "floating point: noise is drawn in float32, by a generator (Philox) that is not cryptographic",
)


def tell(params: TableTraining, plan: Plan | None, *, epochs: int, is_table: bool) -> Json | str:
    """Of a training on rows or recordings that has taken the steps of so many epochs; without a plan the word `none`.

    Of recordings a unit that is one row of the manifest is a recording.
    """
    if plan is None or params.privacy is None:
        return NONE
    if is_table:
        preprocessing = UNTOUCHED if params.preprocess == "none" else DECLARED
        return tell_steps(params.privacy, plan, epochs=epochs, preprocessing=preprocessing)
    plan = replace(plan, unit="recording") if plan.unit == "row" else plan
    return tell_steps(params.privacy, plan, epochs=epochs, preprocessing=HEARD)


def tell_steps(
    asked: PrivateSteps, plan: Plan, *, epochs: int, preprocessing: str, not_counted: Sequence[str] = ()
) -> Json:
    """Of so many epochs; `not_counted` is what else they tell of these units in particular."""
    is_known = asked.noise_seed is not None
    return {
        "epsilon": None if is_known else plan.epsilon(epochs),
        **({"reason": KNOWN_SEED} if is_known else {}),
        "delta": plan.delta,
        "accountant": accounting.accountant(),
        "noise_multiplier": plan.noise_multiplier,
        "clip_norm": plan.clip_norm,
        "sampling": "Poisson",
        "sampling_probability": plan.sampling,
        "steps": plan.steps(epochs),
        "unit": plan.unit,
        "units": len(plan.units),
        "examples_per_unit": plan.units.longest,
        "adjacency": f"one {plan.unit} more or less among those that train",
        "noise": "seeded by the client" if is_known else "keyed by 128 bits of the operating system's entropy",
        "preprocessing": preprocessing,
        "not_counted": [*NOT_COUNTED, *not_counted],
    }
