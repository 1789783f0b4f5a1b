"""How the inputs of a network were distributed in its training: where explanations start, and how far they may go."""

from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

NAMES = ("mean", "deviation", "low", "high")


@dataclass(frozen=True)
class InputStatistics:
    """Of every column of the training's matrix, (inputs,) float32 each; a deviation is never 0."""

    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray


def learn(x: np.ndarray) -> InputStatistics:
    """Of a matrix (rows, inputs)."""
    deviation = x.std(axis=0, dtype=np.float64)
    found = (x.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, 1.0), x.min(axis=0), x.max(axis=0))
    return InputStatistics(*(each.astype(np.float32) for each in found))


def pack(statistics: InputStatistics) -> bytes:
    """As a file of the model."""
    return save({name: np.ascontiguousarray(getattr(statistics, name)) for name in NAMES})


def unpack(content: bytes, *, inputs: int) -> InputStatistics:
    """Back from the file. Raises KeyError, ValueError or SafetensorError when it is not of such a model."""
    arrays = load(content)
    if any(arrays[name].shape != (inputs,) for name in NAMES):
        raise ValueError(f"expected {inputs} numbers of each")
    return InputStatistics(*(arrays[name] for name in NAMES))
