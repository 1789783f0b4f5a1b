"""The activations of shared/networks.py in NumPy, as Keras computes them."""

from collections.abc import Callable

import numpy as np
from scipy import special

Run = Callable[[np.ndarray], np.ndarray]

# Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
# Keras's default.
LEAKY_SLOPE = 0.2


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, np.float32(0))


def _softmax(x: np.ndarray) -> np.ndarray:
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


# Each may overwrite what it is given.
ACTIVATIONS: dict[str, Run] = {
    "linear": lambda x: x,
    "sigmoid": lambda x: special.expit(x, out=x),
    "hard_sigmoid": lambda x: np.clip((x + 3) / 6, 0, 1),
    "tanh": lambda x: np.tanh(x, out=x),
    "relu": lambda x: np.maximum(x, 0, out=x),
    "leaky_relu": lambda x: np.maximum(x, LEAKY_SLOPE * x),
    "relu6": lambda x: np.clip(x, 0, 6, out=x),
    "elu": _elu,
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * special.ndtr(x),
    "silu": lambda x: x * special.expit(x),
    "swish": lambda x: x * special.expit(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": lambda x: np.exp(x, out=x),
    "softmax": _softmax,
}
