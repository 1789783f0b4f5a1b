"""The formats in which a network is handed out, and how far an answer may be from our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from worker.exports import onnx_graph, tensorflow_graph
from worker.networks import NetworkSpec

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Format:
    """How a network is written, and how what was written answers (rows, inputs) with (rows, outputs)."""

    write: Callable[[NetworkSpec, Mapping[str, np.ndarray]], dict[str, bytes]]
    run: Callable[[Files, np.ndarray], np.ndarray]
    inputs: str
    outputs: str


FORMATS = {
    "saved_model": Format(
        tensorflow_graph.write_saved_model,
        tensorflow_graph.run_saved_model,
        tensorflow_graph.INPUTS,
        tensorflow_graph.OUTPUTS,
    ),
    "litert": Format(
        tensorflow_graph.write_litert, tensorflow_graph.run_litert, tensorflow_graph.INPUTS, tensorflow_graph.OUTPUTS
    ),
    "onnx": Format(onnx_graph.write, onnx_graph.run, onnx_graph.INPUTS, onnx_graph.OUTPUTS),
}


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of two answers, of numbers beyond 1 as a share of ours; infinite where one is no number.

    Both are sums of float32 numbers in another order: what is large differs by more.
    """
    if ours.shape != theirs.shape or not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
        return float("inf")
    finite = np.isfinite(ours)
    away = np.abs(ours[finite].astype(np.float64) - theirs[finite]) / np.maximum(1, np.abs(ours[finite]))
    return float(away.max(initial=0.0))
