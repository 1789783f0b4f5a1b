"""Networks: our own description of them, the Keras model made from it, and its weights under stable names.

All end in dense layers; one that hears has a convolutional front before them.
"""

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np

from shared.fronts import Front
from shared.networks import Layer
from worker import fronts

# The second has a front: who knows only the first must not take it for a dense network.
DENSE, WITH_FRONT = 1, 2

OutputActivation = Literal["sigmoid", "softmax", "linear"]


@dataclass(frozen=True)
class NetworkSpec:
    """All that is needed to build a network again; data, never code. `inputs` are those of the first dense layer."""

    inputs: int
    outputs: int
    hidden: tuple[Layer, ...]
    output_activation: OutputActivation
    front: Front | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "version": DENSE if self.front is None else WITH_FRONT,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "hidden": [layer.model_dump() for layer in self.hidden],
            "output_activation": self.output_activation,
            **({} if self.front is None else {"front": self.front.model_dump(mode="json")}),
        }

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "NetworkSpec":
        """Read a description; raises ValueError for one that is not ours."""
        is_known = said.get("version") == (WITH_FRONT if "front" in said else DENSE)
        if not is_known or said.get("output_activation") not in ("sigmoid", "softmax", "linear"):
            raise ValueError("expected a dense network of version 1, or one with a front of version 2")
        hidden = tuple(Layer.model_validate(layer) for layer in said["hidden"])
        front = Front.model_validate(said["front"]) if "front" in said else None
        if front is not None and said["inputs"] != front.outputs:
            raise ValueError(f"expected {front.outputs} inputs, which is what the front makes")
        return cls(int(said["inputs"]), int(said["outputs"]), hidden, said["output_activation"], front)

    def under(self, front: Front) -> "NetworkSpec":
        """The same layers on what a front makes of a recording."""
        return replace(self, inputs=front.outputs, front=front)


def build(spec: NetworkSpec, *, seed: int) -> keras.Sequential:
    """The Keras model, with the weights that bare Keras draws for the same layers under the same seed."""
    # Keras draws every layer's seed from Python's generator. keras.utils.set_random_seed would seed TensorFlow too,
    # which throws away its kernels: the next call of a compiled function would take 0.2 s more.
    random.seed(seed)
    layers: list[Any] = [keras.Input((spec.inputs,))]
    if spec.front is not None:
        layers = [keras.Input((spec.front.frames, spec.front.bands)), *fronts.layers(spec.front)]
    for place, layer in enumerate(spec.hidden):
        layers += _hidden(layer, f"hidden_{place}")
    layers.append(keras.layers.Dense(spec.outputs, activation=spec.output_activation, name="output"))
    return keras.Sequential(layers)


def _hidden(layer: Layer, name: str) -> list[Any]:
    regulariser = keras.regularizers.L1L2(layer.l1, layer.l2) if layer.l1 or layer.l2 else None
    inside = None if layer.batch_normalization else layer.activation
    made: list[Any] = [keras.layers.Dense(layer.units, activation=inside, kernel_regularizer=regulariser, name=name)]
    if layer.batch_normalization:
        made += [
            keras.layers.BatchNormalization(name=f"{name}_normalization"),
            keras.layers.Activation(layer.activation, name=f"{name}_activation"),
        ]
    if layer.dropout:
        made.append(keras.layers.Dropout(layer.dropout, name=f"{name}_dropout"))
    return made


def weights(model: keras.Sequential) -> dict[str, np.ndarray]:
    """Every array that prediction needs, under names of ours: hidden.0.kernel, hidden.0.gamma, output.bias, …"""
    return {name: variable.numpy() for name, variable in fronts.named(model)}


def assign(model: keras.Sequential, arrays: dict[str, np.ndarray]) -> None:
    """Give a model its weights back. Raises KeyError when one is missing."""
    for name, variable in fronts.named(model):
        variable.assign(arrays[name])
