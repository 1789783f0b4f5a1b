"""What a recommender that learns in private steps cannot be beside: refused at the door with every place."""

from collections.abc import Iterator
from typing import Any

from shared import private_training
from shared.errors import Fault, InvalidRequest
from shared.kinds.recommendation import PRIVATE, TrainParams
from shared.training_params import PlateauDecay
from shared.tuning_params import Tuning


def refuse(asked: Any, params: TrainParams) -> None:  # Any: the kind's own
    """Raise InvalidRequest with every fault of a training that asks for privacy; `asked` is what the body says."""
    if isinstance(asked, Tuning):
        private_training.refuse_search(asked, params)
    if params.privacy is None:
        return
    faults = list(_faults(params))
    if faults:
        said = faults[0].message if len(faults) == 1 else f"{len(faults)} of the fields do not go with privacy."
        raise InvalidRequest(said, code=private_training.CODE, faults=faults)


def _faults(params: TrainParams) -> Iterator[Fault]:
    named = params.model_fields_set
    if params.model not in ("auto", PRIVATE):
        yield _fault("model", f"expected {PRIVATE}, or auto, which is the same: no other learns in private steps")
    if params.candidates is not None:
        yield _fault("candidates", "expected none: plays would choose among them, and no account is kept of that")
    if params.early_stopping:
        yield _fault("early_stopping", "expected no early stopping: the number of steps stands before the first")
    if isinstance(params.learning_rate, PlateauDecay):
        yield _fault("learning_rate", "expected no plateau: the loss must not decide on the steps")
    if params.network.hidden:
        yield _fault("network/hidden", "expected no layers: private steps are of vectors and biases alone")
    if "content" in named and params.content is not None:
        yield _fault("content", "expected null: new items would be placed by who has played what is like them")
    if "bots" in named and params.bots == "leave_out":
        yield _fault("bots", "expected keep: who is a bot is told by all listeners")
    if params.least_listeners > 1:
        yield _fault("least_listeners", "expected 1: how many have played an item depends on each of them")


def _fault(place: str, said: str) -> Fault:
    return Fault(said, pointer=f"/params/{place}")
