"""A dense network's answer in NumPy: what Keras computes, without TensorFlow, in the caller's own thread.

Scoring needs it so: TensorFlow's threads would stand in the way of those that read the table. Tests hold the two equal.
"""

from collections.abc import Callable, Mapping

import numpy as np

from worker.activations import ACTIVATIONS
from worker.networks import NetworkSpec

Run = Callable[[np.ndarray], np.ndarray]

# Measured: the activations of so many rows stay in the cache; 65,536 take a third longer. Every product is of exactly
# that many, for BLAS adds up otherwise for other numbers of rows: a row is answered alike whoever stands beside it.
BLOCK_ROWS = 1024

# Keras's default.
BATCH_NORMALIZATION_EPSILON = 1e-3


def compile(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> Run:
    """A function from a float32 matrix (rows, inputs) to outputs (rows, outputs)."""
    layers = [(kernel, bias, ACTIVATIONS[each]) for kernel, bias, each in dense(spec, weights)]

    def run(x: np.ndarray) -> np.ndarray:
        outputs = np.empty((len(x), spec.outputs), np.float32)
        # What overflows ends as a row that could not be scored, which is told there.
        with np.errstate(all="ignore"):
            for start in range(0, len(x), BLOCK_ROWS):
                block = _filled(x[start : start + BLOCK_ROWS])
                for kernel, bias, activate in layers:
                    block = block @ kernel
                    block += bias
                    block = activate(block)
                outputs[start : start + BLOCK_ROWS] = block[: len(x) - start]
        return outputs

    return run


def dense(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Kernel, bias and activation of each layer, the first first."""
    activations = [*(layer.activation for layer in spec.hidden), spec.output_activation]
    names = [*(f"hidden.{place}" for place in range(len(spec.hidden))), "output"]
    return [(*_dense(weights, name), each) for name, each in zip(names, activations, strict=True)]


def _filled(block: np.ndarray) -> np.ndarray:
    """With rows of zeros up to a whole block."""
    if len(block) == BLOCK_ROWS:
        return block
    filled = np.zeros((BLOCK_ROWS, block.shape[1]), np.float32)
    filled[: len(block)] = block
    return filled


def _dense(weights: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a layer, with its batch normalisation folded into them."""
    kernel, bias = weights[f"{name}.kernel"], weights[f"{name}.bias"]
    if f"{name}.gamma" not in weights:
        return kernel, bias
    gain = weights[f"{name}.gamma"] / np.sqrt(weights[f"{name}.moving_variance"] + BATCH_NORMALIZATION_EPSILON)
    return kernel * gain, (bias - weights[f"{name}.moving_mean"]) * gain + weights[f"{name}.beta"]
