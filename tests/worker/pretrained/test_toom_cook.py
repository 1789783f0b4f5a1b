"""The short filter algorithms give what a plain filter gives."""

import numpy as np
import pytest

from worker.pretrained.swift import STEP
from worker.pretrained.toom_cook import Algorithm, algorithm


@pytest.mark.parametrize(
    ("outputs", "taps", "points", "products"),
    [(1, 1, (), 1), (2, 3, (0, 1, -1), 4), (4, 7, (0, 1, -1, 2, -2, 0.5, -0.5, 1j), 11), (2, 2, (1j,), 4)],
)
def test_an_algorithm_is_a_filter(outputs: int, taps: int, points: tuple[complex, ...], products: int) -> None:
    random = np.random.default_rng(0)
    signal, kernel = random.normal(size=outputs + taps - 1), random.normal(size=taps)

    made = algorithm(outputs, taps, points)

    assert len(made.before) == products
    np.testing.assert_allclose(run(made, signal, kernel), np.correlate(signal, kernel, "valid"), rtol=0, atol=1e-12)


def test_the_step_of_the_tagger_makes_14_products_of_42_and_stays_exact_in_float32() -> None:
    random = np.random.default_rng(0)
    signals, kernels = random.normal(size=(1000, 12)), random.normal(size=(1000, 7))
    single = Algorithm(*(matrix.astype(np.float32) for matrix in STEP))

    made = [run(single, *(pair.astype(np.float32) for pair in pairs)) for pairs in zip(signals, kernels, strict=True)]

    assert STEP.before.shape == (14, 12)
    truth = [np.correlate(*pair, "valid") for pair in zip(signals, kernels, strict=True)]
    assert np.abs(np.array(made) - truth).max() < 2e-5


def run(made: Algorithm, signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return made.after @ ((made.of_filter @ kernel) * (made.before @ signal))
