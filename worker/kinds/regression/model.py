"""The network of a regression and what it minimises."""

from shared.kinds.regression import TrainParams
from worker.kinds.protocol import Prepared
from worker.networks import NetworkSpec
from worker.training import Objective


def describe(prepared: Prepared, params: TrainParams) -> tuple[NetworkSpec, Objective]:
    """The hidden layers asked for, and a linear output for each target."""
    spec = NetworkSpec(
        inputs=prepared.train.x.shape[1],
        outputs=prepared.train.y.shape[1],
        hidden=tuple(params.hidden),
        output_activation="linear",
    )
    return spec, Objective(loss=params.loss, huber_delta=params.huber_delta)
