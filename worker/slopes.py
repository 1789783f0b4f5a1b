"""A dense network's gradients in NumPy: what worker/forward.py computes, backwards, as TensorFlow's tape has them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from worker import forward
from worker.activations import ACTIVATIONS, LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE
from worker.networks import NetworkSpec

# From what went into an activation, what came out, and the slopes there, to the slopes of what went in.
Pull = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

NORMAL_DENSITY = 1 / np.sqrt(2 * np.pi).astype(np.float32)


def _of_gelu(z: np.ndarray, a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return g * (special.ndtr(z) + z * NORMAL_DENSITY * np.exp(-z * z / 2))


def _of_silu(z: np.ndarray, a: np.ndarray, g: np.ndarray) -> np.ndarray:
    share = special.expit(z)
    return g * (share + a * (1 - share))


def _of_mish(z: np.ndarray, a: np.ndarray, g: np.ndarray) -> np.ndarray:
    inner = np.tanh(np.logaddexp(z, np.float32(0)))
    return g * (inner + z * (1 - inner * inner) * special.expit(z))


PULLS: dict[str, Pull] = {
    "linear": lambda z, a, g: g,
    "sigmoid": lambda z, a, g: g * a * (1 - a),
    "hard_sigmoid": lambda z, a, g: g * ((z > -3) & (z < 3)) / 6,
    "tanh": lambda z, a, g: g * (1 - a * a),
    "relu": lambda z, a, g: g * (a > 0),
    "leaky_relu": lambda z, a, g: np.where(z > 0, g, LEAKY_SLOPE * g),
    "relu6": lambda z, a, g: g * ((z > 0) & (z < 6)),
    "elu": lambda z, a, g: np.where(z > 0, g, g * (a + 1)),
    "selu": lambda z, a, g: g * np.where(z > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA),
    "gelu": _of_gelu,
    "silu": _of_silu,
    "swish": _of_silu,
    "mish": _of_mish,
    "softplus": lambda z, a, g: g * special.expit(z),
    "softsign": lambda z, a, g: g / (1 + np.abs(z)) ** 2,
    "exponential": lambda z, a, g: g * a,
    "softmax": lambda z, a, g: a * (g - (g * a).sum(axis=1, keepdims=True)),
}
# These need to know what came out alone, so that it may take the place of what went in.
BY_OUTPUT = {"linear", "sigmoid", "tanh", "relu", "elu", "selu", "exponential", "softmax"}


@dataclass(frozen=True)
class Backward:
    """A network taken apart behind its first product, which is linear and needs to be done only once on a path."""

    layers: Sequence[tuple[np.ndarray, np.ndarray, str]]

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """What the network answers, of few rows in little time; it may add up otherwise than `forward.compile`."""
        with np.errstate(all="ignore"):
            for kernel, bias, activation in self.layers:
                x = ACTIVATIONS[activation](x @ kernel + bias)
        return x

    def enter(self, x: np.ndarray) -> np.ndarray:
        """What the first activation is given, (rows, units), of inputs (rows, inputs)."""
        kernel, bias, _ = self.layers[0]
        return np.asarray(x @ kernel + bias)

    def span(self, x: np.ndarray) -> np.ndarray:
        """How far what the first activation is given moves when the inputs move by `x`."""
        return np.asarray(x @ self.layers[0][0])

    def pull(self, entered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Slopes of the sum of wanted * outputs by what has `entered`, (rows, units); `wanted` is (rows, outputs).

        What has entered is overwritten.
        """
        passed, z = [], entered
        for place, (_, _, activation) in enumerate(self.layers):
            a = ACTIVATIONS[activation](z if activation in BY_OUTPUT else z.copy())
            passed.append((z, a))
            if place + 1 < len(self.layers):
                kernel, bias, _ = self.layers[place + 1]
                z = a @ kernel + bias
        slopes = wanted
        for place in reversed(range(len(self.layers))):
            slopes = PULLS[self.layers[place][2]](*passed[place], slopes)
            if place:
                slopes = slopes @ self.layers[place][0].T
        return slopes

    def leave(self, slopes: np.ndarray) -> np.ndarray:
        """Slopes by the inputs, of slopes by what has entered."""
        return np.asarray(slopes @ self.layers[0][0].T)

    def slopes(self, x: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Slopes of the sum of wanted * outputs by the inputs, (rows, inputs)."""
        return self.leave(self.pull(self.enter(x), wanted))


def compile(spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> Backward:
    """The same layers as `forward.compile` runs."""
    return Backward(forward.dense(spec, weights))
