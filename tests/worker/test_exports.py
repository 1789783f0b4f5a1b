"""Networks in formats of others answer as worker/forward does: every activation, every output, every layer."""

import typing
from collections.abc import Mapping

import numpy as np
import onnxruntime
import pytest

from shared.networks import Activation, Layer
from worker import forward, networks
from worker.exports import formats, onnx_graph
from worker.networks import NetworkSpec

ACTIVATIONS = typing.get_args(Activation)
INPUTS = 5


def network(*hidden: Layer, output: str = "sigmoid", outputs: int = 1) -> tuple[NetworkSpec, dict[str, np.ndarray]]:
    """A network with weights that no initialiser draws: also biases and moments are telling."""
    spec = NetworkSpec(INPUTS, outputs, hidden, output)  # type: ignore[arg-type]
    random = np.random.default_rng(3)
    drawn = {
        name: random.normal(scale=0.6, size=array.shape).astype(np.float32)
        for name, array in networks.weights(networks.build(spec, seed=0)).items()
    }
    return spec, {name: np.abs(each) + 0.5 if "variance" in name else each for name, each in drawn.items()}


def rows(count: int = 256) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, INPUTS)).astype(np.float32)


def run_onnxruntime(files: Mapping[str, bytes], x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(files[onnx_graph.ONNX], providers=["CPUExecutionProvider"])
    (answered,) = session.run(None, {onnx_graph.INPUTS: x})
    return np.asarray(answered)


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_exported_as_it_is_answered(name: str, activation: str) -> None:
    spec, weights = network(Layer(units=4, activation=activation))

    files = formats.FORMATS[name].write(spec, weights)

    assert formats.difference(forward.compile(spec, weights)(rows()), formats.FORMATS[name].run(files, rows())) <= 1e-5
