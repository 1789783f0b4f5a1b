"""The network of a classifier and what it minimises."""

from shared.kinds.classification import TrainParams
from worker.kinds.classification import certainty
from worker.kinds.classification.data import Target
from worker.kinds.protocol import Prepared
from worker.networks import NetworkSpec
from worker.training import Objective

FITTING_LOSS = {
    "binary": "binary_crossentropy",
    "one_hot": "categorical_crossentropy",
    "multi_hot": "binary_crossentropy",
}


def describe(prepared: Prepared, params: TrainParams) -> tuple[NetworkSpec, Objective]:
    """The hidden layers asked for, and an output for the encoding: sigmoid, or softmax over classes.

    Raises JobFailed for thresholds that the target cannot have.
    """
    certainty.refuse(prepared.target, params)
    target = Target.model_validate(prepared.target)
    spec = NetworkSpec(
        inputs=prepared.train.x.shape[1],
        outputs=target.outputs,
        hidden=tuple(params.hidden),
        output_activation="softmax" if target.encoding == "one_hot" else "sigmoid",
    )
    loss = FITTING_LOSS[target.encoding] if params.loss == "auto" else params.loss
    return spec, Objective(loss=loss, metrics=("accuracy",))
