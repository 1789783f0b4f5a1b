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


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_runtime_of_others_reads_every_activation(activation: str) -> None:
    spec, weights = network(Layer(units=4, activation=activation), output="linear", outputs=2)

    answered = run_onnxruntime(onnx_graph.write(spec, weights), rows())

    assert formats.difference(forward.compile(spec, weights)(rows()), answered) <= 1e-5


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear"])
def test_normalisation_and_dropout_and_every_output_are_exported(name: str, output: str) -> None:
    hidden = (Layer(units=7, batch_normalization=True, dropout=0.5), Layer(units=3, dropout=0.3, activation="tanh"))
    spec, weights = network(*hidden, output=output, outputs=3)

    files = formats.FORMATS[name].write(spec, weights)

    ours = forward.compile(spec, weights)(rows())
    assert formats.difference(ours, formats.FORMATS[name].run(files, rows())) <= 1e-5
    # One row alone as well: nothing has the number of rows inside.
    assert formats.difference(ours[:1], formats.FORMATS[name].run(files, rows()[:1])) <= 1e-5
    assert ours.std() > 0.01


def test_the_exported_network_is_what_keras_makes_of_the_same_weights() -> None:
    spec, weights = network(Layer(units=7, activation="mish", batch_normalization=True), output="softmax", outputs=3)
    model = networks.build(spec, seed=0)
    networks.assign(model, weights)

    answered = run_onnxruntime(onnx_graph.write(spec, weights), rows())

    assert formats.difference(model(rows(), training=False).numpy(), answered) <= 1e-5


def test_a_network_without_hidden_layers_is_exported() -> None:
    spec, weights = network()

    for each in formats.FORMATS.values():
        ours = forward.compile(spec, weights)(rows(3))
        assert formats.difference(ours, each.run(each.write(spec, weights), rows(3))) <= 1e-5


def test_answers_that_are_far_or_no_numbers_are_told_apart() -> None:
    ours = np.array([[0.5, 1000.0]], np.float32)

    assert formats.difference(ours, ours + np.float32([0.25, 0])) == pytest.approx(0.25)
    assert formats.difference(ours, ours + np.float32([0, 1])) == pytest.approx(1e-3)
    assert formats.difference(ours, np.array([[0.5, np.nan]], np.float32)) == np.inf
    assert formats.difference(ours, ours[:, :1]) == np.inf
    assert formats.difference(ours[:0], ours[:0]) == 0
