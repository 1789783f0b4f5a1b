"""Short filters with fewer multiplications than taps times outputs (Toom 1963, Cook 1966; Winograd 1980, chapter 5)."""

from typing import NamedTuple

import numpy as np
import scipy.linalg

# (a + ib)(c + id) in three real products (Gauss): what is formed of (a, b), of (c, d), and of the products.
OF_LEFT = np.array([[1, 1], [1, 0], [0, 1]])
OF_RIGHT = np.array([[1, 0], [-1, 1], [1, 1]])
OF_PRODUCTS = np.array([[1, 0, -1], [1, 1, 0]])


class Algorithm(NamedTuple):
    """Where y[j] = sum_k x[j + k] w[k], y = after @ ((of_filter @ w) * (before @ x)); float64 matrices."""

    before: np.ndarray  # (products, outputs + taps - 1)
    of_filter: np.ndarray  # (products, taps)
    after: np.ndarray  # (outputs, products)


def algorithm(outputs: int, taps: int, points: tuple[complex, ...]) -> Algorithm:
    """The algorithm that evaluates at these points and at infinity, where complex ones stand for their pair.

    Polynomials of `outputs` and `taps` coefficients are multiplied by their values at enough points; a filter is that
    product's transpose. Points near the unit circle keep float32 about as exact as the plain sum is.
    """
    size = outputs + taps - 1
    left = np.vstack([_form(OF_LEFT, _values(point, outputs)) for point in points] + [_last(outputs)])
    right = np.vstack([_form(OF_RIGHT, _values(point, taps)) for point in points] + [_last(taps)])
    values = np.vstack([_values(point, size) for point in points] + [_last(size)])
    products = scipy.linalg.block_diag(*[OF_PRODUCTS if point.imag else [[1]] for point in points], [[1]])
    before = np.linalg.solve(values, products).T
    # Rows of one size: what the filter's side takes up, the signal's side need not lose.
    sizes = np.abs(before).sum(axis=1, keepdims=True)
    return Algorithm(before / sizes, right * sizes, left.T)


def _values(point: complex, length: int) -> np.ndarray:
    """Powers of a point: one row, or two for the parts of a complex one."""
    powers = complex(point) ** np.arange(length)
    return np.vstack([powers.real, powers.imag]) if complex(point).imag else powers.real[None]


def _form(gauss: np.ndarray, values: np.ndarray) -> np.ndarray:
    return gauss @ values if len(values) == 2 else values


def _last(length: int) -> np.ndarray:
    """A polynomial's value at infinity is its last coefficient."""
    return np.eye(length)[-1:]
