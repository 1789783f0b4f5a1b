"""What a job will need: of each sort of work its size and its seconds, before anything is known of this machine."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row

from shared import composing, expectation, explanation, recommending, sizes, tariff
from shared.calibration import Calibrated
from shared.expectation import Expected
from shared.kinds.recommendation import TrainParams as RecommenderTraining
from shared.machines import Machine
from shared.networks import Size
from shared.sequence_params import SequenceTraining
from shared.settings import Settings
from shared.table_params import TableTraining

Json = dict[str, Any]
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Need:
    """The network to be trained, or the parameters of the one that is used; the time; what makes it so large."""

    size: Size | None
    expected: Expected
    parameters: int = 0
    pointer: str = "/params/hidden"


def need(params: BaseModel, rows: list[Row[Any]], version: Row[Any] | None, machine: Machine) -> Need:
    """Of a job with these params on these datasets, with this model version, on such a machine."""
    has_networks = getattr(params, "front", None) is None
    heard_s = expectation.of_listening(sizes.hours(rows), machine, has_networks=has_networks)
    if isinstance(params, TableTraining):
        meant = sizes.meant(params, rows)
        size = sizes.measure(meant, rows)
        profile = rows[0].profile
        expected = expectation.of_training(
            size, meant, machine, rows=sizes.examples(meant, rows), columns=len(sizes.features(profile)),
            outputs=sizes.outputs(profile),
        )  # fmt: skip
        return Need(size, expected.plus(heard_s))
    if isinstance(params, SequenceTraining):
        size, steps = composing.size(params), composing.steps(rows)
        return Need(size, expectation.of_sequences(size, params, machine, steps=steps), pointer="/params/network")
    if isinstance(params, RecommenderTraining):
        size, pointer = recommending.size(params, rows)
        return Need(size, expectation.of_plays(recommending.expected_s(params, rows), machine), pointer=pointer)
    parameters = 0 if version is None else version.parameters
    passes = parameters * explanation.passes(params)
    expected = expectation.of_scoring(passes, machine, rows=sum(row.rows or 0 for row in rows))
    return Need(None, expected.plus(heard_s), parameters)


def as_json(need: Need, told: Calibrated, settings: Settings) -> Json:
    """As POST /v1/estimate answers; money is None where the operator has set no prices."""
    prices = tariff.of(settings)
    cpu_s = told.seconds * (1.0 if told.cores is None else told.cores)
    energy_wh = prices.assumed_wh(cpu_s) if told.wh_per_s is None else told.seconds * told.wh_per_s
    parameters, memory_bytes = need.parameters, need.parameters * FLOAT_BYTES
    if need.size is not None:
        parameters, memory_bytes = need.size.parameters, need.size.memory_bytes
    return {
        "parameters": parameters,
        "memory_bytes": memory_bytes,
        "fits": memory_bytes <= settings.training_memory_bytes,
        "expected_s": round(told.seconds, 3),
        "low_s": round(told.low, 3),
        "high_s": round(told.high, 3),
        # How many earlier jobs it was told from; 0: from the figures of the service alone.
        "jobs": told.jobs,
        "energy_wh": round(energy_wh, 6),
        "money": prices.money(cpu_s=cpu_s, gpu_s=told.seconds * (told.cards or 0.0), energy_wh=energy_wh),
        "currency": prices.currency if prices.has_prices else None,
    }
