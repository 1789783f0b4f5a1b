"""What a network may be: a closed list of layers, and its size before anybody builds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from shared.errors import Fault, InvalidRequest
from shared.fronts import Front
from shared.schema import Closed, Float, Int

Activation = Literal[
    "linear", "sigmoid", "hard_sigmoid", "tanh", "relu", "leaky_relu", "relu6", "elu", "selu", "gelu", "silu",
    "swish", "mish", "softplus", "softsign", "exponential", "softmax",
]  # fmt: skip

FLOAT_BYTES = 4
# Weights, their gradients, two optimizer slots, and the best epoch's copy: what Adam with early stopping holds.
COPIES_IN_TRAINING = 5
# What a front learns from is in memory as float16, once for the device and once for baselines and evaluation.
CROP_COPIES, CROP_NUMBER_BYTES = 2, 2


class Layer(Closed):
    """A dense layer; batch normalisation stands before its activation, dropout after it."""

    # No upper bound here: a giant is refused by its computed size, which tells the client more.
    units: Annotated[Int, Field(ge=1)]
    activation: Activation = "relu"
    dropout: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    batch_normalization: bool = False
    l1: Annotated[Float, Field(ge=0)] = 0.0
    l2: Annotated[Float, Field(ge=0)] = 0.0


# More layers than this on a table are a mistake, and would take minutes to trace.
Hidden = Annotated[list[Layer], Field(max_length=64)]


@dataclass(frozen=True)
class Size:
    """What a network costs: parameters, bytes that training holds at its largest, multiplications for a row."""

    parameters: int
    memory_bytes: int
    multiplications: int


def measure(
    hidden: Sequence[Layer], *, inputs: int, outputs: int, batch_size: int, front: Front | None = None, crops: int = 0
) -> Size:
    """Count parameters and training memory without building anything; `crops` are the examples of a front."""
    parameters, activations, width = 0, inputs, inputs
    for layer in hidden:
        parameters += width * layer.units + layer.units + (4 * layer.units if layer.batch_normalization else 0)
        activations += layer.units * (3 if layer.batch_normalization else 2)
        width = layer.units
    parameters += width * outputs + outputs
    multiplications = parameters
    if front is not None:
        parameters, activations = parameters + front.parameters, activations + front.activations
        multiplications += front.multiplications
    held = parameters * COPIES_IN_TRAINING + 2 * batch_size * (activations + outputs)
    return Size(parameters, held * FLOAT_BYTES + _crops_bytes(front, crops), multiplications)


def _crops_bytes(front: Front | None, crops: int) -> int:
    return 0 if front is None else CROP_COPIES * crops * front.frames * front.bands * CROP_NUMBER_BYTES


def refuse_giant(size: Size, *, memory_limit_bytes: int, pointer: str = "/params/hidden") -> None:
    """Raise if training such a network would not fit, with the computed size in the answer."""
    if size.memory_bytes <= memory_limit_bytes:
        return
    said = (
        f"expected a network that trains within {memory_limit_bytes:,} bytes, received one of {size.parameters:,} "
        f"parameters that needs {size.memory_bytes:,} bytes with its data: use fewer units, layers, rows a batch or "
        "listening.segments_per_track"
    )
    raise InvalidRequest(said, code="model_too_large", faults=[Fault(said, pointer=pointer)])
