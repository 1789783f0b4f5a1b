"""Networks that learn sequences: what a client may choose of them, and how large they are."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shared.networks import Size
from shared.schema import Closed, Float, Int

Units = Annotated[Int, Field(ge=8, le=2048)]
Dropout = Annotated[Float, Field(ge=0, lt=1)]

# Weights, their gradients, two moments of the optimizer, the average, the best ones.
COPIES = 6
FLOAT_BYTES = 4


class Gru(Closed):
    """Gated recurrent layers over steps, one above the other."""

    type: Literal["gru"]
    units: Annotated[list[Units], Field(min_length=1, max_length=6)] = Field(default_factory=lambda: [256, 256])
    # Of what each field was: numbers that stand for a code.
    embedding: Annotated[Int, Field(ge=4, le=512)] = 64
    # Of the layer that chooses a field, given the fields of the step that are chosen already.
    head: Annotated[Int, Field(ge=8, le=2048)] = 256
    # Of a layer's answers, the same ones throughout a window (Gal and Ghahramani, NeurIPS 2016).
    dropout: Dropout = 0.2
    # Of the weights from step to step (Merity et al., "Regularizing and optimizing LSTM language models", 2018).
    recurrent_dropout: Dropout = 0.2


class Decoder(Closed):
    """A transformer's decoder over steps, with a learned bias for each distance (Raffel et al., JMLR 2020).

    Each step looks at itself and the `reach` - 1 before it.
    """

    type: Literal["decoder"]
    layers: Annotated[Int, Field(ge=1, le=24)] = 4
    width: Annotated[Int, Field(ge=16, le=2048)] = 192
    heads: Annotated[Int, Field(ge=1, le=32)] = 6
    reach: Annotated[Int, Field(ge=8, le=4096)] = 256
    embedding: Annotated[Int, Field(ge=4, le=512)] = 64
    head: Annotated[Int, Field(ge=8, le=2048)] = 256
    dropout: Dropout = 0.2

    @model_validator(mode="after")
    def _divides(self) -> "Decoder":
        if self.width % self.heads:
            raise ValueError(f"expected a width that {self.heads} heads divide, received {self.width}")
        return self


SequenceNetwork = Annotated[Gru | Decoder, Field(discriminator="type")]


def shapes(
    network: Gru | Decoder, *, codes: tuple[int, ...], tokens: tuple[int, ...], context: int
) -> dict[str, tuple[int, ...]]:
    """Every array of a network's weights by name: the one list that building, storing and counting go by.

    `codes` and `tokens` are the alphabets of the fields, `context` the numbers that are known of a step beforehand.
    """
    fields, embedding, head = len(codes), network.embedding, network.head
    # One code more: before the first step.
    made: dict[str, tuple[int, ...]] = {f"embedding.{field}": (size + 1, embedding) for field, size in enumerate(codes)}
    inputs = fields * embedding + context
    made |= _gru(network, inputs) if isinstance(network, Gru) else _decoder(network, inputs)
    top = (network.units[-1] if isinstance(network, Gru) else network.width) + inputs
    return made | {
        "head.state": (top, fields * head),
        "head.known": (fields * embedding, fields * head),
        "head.bias": (fields * head,),
        "output.kernel": (fields, head, max(tokens)),
        "output.bias": (fields, max(tokens)),
    }


def _gru(network: Gru, inputs: int) -> dict[str, tuple[int, ...]]:
    made: dict[str, tuple[int, ...]] = {}
    for place, units in enumerate(network.units):
        made |= {
            f"gru.{place}.kernel": (inputs, 3 * units),
            f"gru.{place}.recurrent": (units, 3 * units),
            f"gru.{place}.bias": (3 * units,),
            f"gru.{place}.recurrent_bias": (3 * units,),
        }
        inputs = units
    return made


def _decoder(network: Decoder, inputs: int) -> dict[str, tuple[int, ...]]:
    width = network.width
    made: dict[str, tuple[int, ...]] = {"decoder.input": (inputs, width)}
    for place in range(network.layers):
        made |= {
            f"decoder.{place}.attention_gain": (width,),
            f"decoder.{place}.attention": (width, 3 * width),
            f"decoder.{place}.distance": (network.heads, network.reach),
            f"decoder.{place}.mixed": (width, width),
            f"decoder.{place}.dense_gain": (width,),
            f"decoder.{place}.wide": (width, 4 * width),
            f"decoder.{place}.wide_bias": (4 * width,),
            f"decoder.{place}.narrow": (4 * width, width),
        }
    return {**made, "decoder.gain": (width,)}


def measure(
    network: Gru | Decoder, *, codes: tuple[int, ...], tokens: tuple[int, ...], context: int, rows: int, window: int
) -> Size:
    """Parameters and memory of a training with `rows` streams of `window` steps."""
    made = shapes(network, codes=codes, tokens=tokens, context=context)
    parameters = sum(math.prod(shape) for shape in made.values())
    fields = len(codes)
    step = fields * (2 * network.head + 2 * max(tokens) + sum(codes) + network.embedding)
    if isinstance(network, Gru):
        step += sum(10 * units for units in network.units)
    else:
        step += network.layers * (14 * network.width + 2 * network.heads * (window + network.reach))
    memory = FLOAT_BYTES * (COPIES * parameters + 2 * rows * window * step)
    return Size(parameters=parameters, memory_bytes=memory, multiplications=parameters)
