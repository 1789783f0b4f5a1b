"""A dense network as a graph of TensorFlow: a SavedModel, and a LiteRT file made from the same graph."""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from worker import forward
from worker.networks import NetworkSpec

FOLDER = "saved_model"
LITERT = "model.tflite"
INPUTS, OUTPUTS, SIGNATURE = "inputs", "outputs", "serving_default"


class _Network(tf.Module):
    """The layers as prediction needs them: batch normalisation is inside the kernels, dropout is gone."""

    def __init__(self, spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        # Variables, not constants: a graph ends at 2 GB.
        self.layers = [
            (tf.Variable(kernel, trainable=False), tf.Variable(bias, trainable=False), keras.activations.get(name))
            for kernel, bias, name in forward.dense(spec, weights)
        ]
        signature = [tf.TensorSpec((None, spec.inputs), tf.float32, name=INPUTS)]
        self.answer = tf.function(self._answer, input_signature=signature)

    def _answer(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        block = inputs
        for kernel, bias, activate in self.layers:
            block = activate(tf.matmul(block, kernel) + bias)
        return {OUTPUTS: tf.identity(block)}


def write_saved_model(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """The files of a SavedModel, by their places in its folder."""
    network = _Network(spec, weights)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(network, folder, signatures={SIGNATURE: network.answer})
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {f"{FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}


def run_saved_model(files: Mapping[str, bytes], x: np.ndarray) -> np.ndarray:
    """What the written SavedModel answers for a float32 matrix (rows, inputs)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # Ours, of this moment: what a client sends is never loaded so.
        loaded = tf.saved_model.load(str(Path(folder) / FOLDER))
        answered: np.ndarray = loaded.signatures[SIGNATURE](tf.constant(x))[OUTPUTS].numpy()
        return answered


def write_litert(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """A LiteRT (TensorFlow Lite) file that needs nothing but built-in operations."""
    network = _Network(spec, weights)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.answer.get_concrete_function()], network)
    return {LITERT: converter.convert()}


def run_litert(files: Mapping[str, bytes], x: np.ndarray) -> np.ndarray:
    """What the written file answers for a float32 matrix (rows, inputs)."""
    with warnings.catch_warnings():
        # The interpreter is to move into a package of its own; TensorFlow 2.21 still has it.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=files[LITERT], num_threads=1)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, x)
    interpreter.invoke()
    answered: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return answered
