"""Integrated gradients have the properties that their authors prove, and the values that linear models give away."""

import numpy as np
import pytest

from shared.networks import Layer
from worker import attribution, forward, networks, slopes
from worker.attribution import Attributions, Readout
from worker.networks import NetworkSpec

Weights = dict[str, np.ndarray]


def explain(
    spec: NetworkSpec, weights: Weights, x: np.ndarray, baseline: np.ndarray, wanted: np.ndarray, *, unit: float = 1.0
) -> Attributions:
    readout = Readout([""] * len(x), np.tile(wanted, (len(x), 1)).astype(np.float32), np.zeros(len(x)), unit)
    return attribution.attribute(
        forward.compile(spec, weights), slopes.compile(spec, weights), x, baseline.astype(np.float32), readout
    )


def linear(kernel: list[float], bias: float) -> Weights:
    return {"output.kernel": np.array(kernel, np.float32)[:, None], "output.bias": np.array([bias], np.float32)}


def drawn(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(rows, columns)).astype(np.float32)


def deep(*, seed: int = 1, inputs: int = 6, output: str = "softmax") -> tuple[NetworkSpec, Weights]:
    hidden = (Layer(units=16, activation="relu"), Layer(units=8, activation="tanh"))
    spec = NetworkSpec(inputs, 3, hidden, output)
    weights = networks.weights(networks.build(spec, seed=seed))
    return spec, {name: 2 * value for name, value in weights.items()}


def test_of_a_linear_model_each_input_adds_its_weight_times_its_distance() -> None:
    x, baseline = drawn(10, 3), np.array([0.5, -1.0, 2.0])

    found = explain(NetworkSpec(3, 1, (), "linear"), linear([2.0, -3.0, 0.0], 7.0), x, baseline, np.ones(1))

    np.testing.assert_allclose(found.added, np.array([2.0, -3.0, 0.0]) * (x - baseline), atol=1e-5)
    np.testing.assert_allclose(found.before, 7 + 1 + 3, rtol=1e-6)
    assert set(found.steps) == {64} and found.errors.max() < 1e-5


def test_of_a_logistic_model_they_share_the_whole_by_their_part_of_the_log_odds() -> None:
    x, kernel = drawn(10, 3), np.array([1.0, -0.5, 0.25])

    found = explain(NetworkSpec(3, 1, (), "sigmoid"), linear(list(kernel), 0.3), x, np.zeros(3), np.ones(1))

    whole = 1 / (1 + np.exp(-(x @ kernel + 0.3))) - 1 / (1 + np.exp(-0.3))
    parts = x * kernel
    np.testing.assert_allclose(found.added, parts / parts.sum(axis=1, keepdims=True) * whole[:, None], atol=2e-4)


def test_the_parts_make_the_whole_and_the_error_is_what_they_miss() -> None:
    spec, weights = deep()
    x = 2 * drawn(200, 6)

    found = explain(spec, weights, x, np.zeros(6), np.eye(3)[1])

    run = forward.compile(spec, weights)
    whole = run(x)[:, 1] - run(np.zeros((1, 6), np.float32))[0, 1]
    np.testing.assert_allclose(found.errors, np.abs(found.added.sum(axis=1) - whole), atol=1e-6)
    assert found.errors.max() <= attribution.ENOUGH


def test_only_the_rows_that_need_more_points_get_more() -> None:
    weights = linear([400.0], 0.0)

    found = explain(NetworkSpec(1, 1, (), "sigmoid"), weights, np.array([[1.0], [0.001]], np.float32), np.zeros(1),
                    np.ones(1))  # fmt: skip

    assert found.steps[0] > 64 and found.steps[1] == 64
    assert found.errors.max() <= attribution.ENOUGH


def test_who_would_need_more_points_than_there_are_is_told_how_much_is_missed() -> None:
    weights = linear([2e6], 0.0)

    found = explain(NetworkSpec(1, 1, (), "sigmoid"), weights, np.ones((1, 1), np.float32), np.zeros(1), np.ones(1))

    assert found.steps[0] == attribution.MOST_STEPS
    assert found.errors[0] == pytest.approx(abs(found.added[0, 0] - 0.5)) and found.errors[0] > attribution.ENOUGH


def test_what_counts_as_enough_goes_by_the_unit() -> None:
    spec, weights = deep(output="linear")
    x = 3 * drawn(50, 6)

    strict = explain(spec, weights, x, np.zeros(6), np.eye(3)[0], unit=0.001)
    lax = explain(spec, weights, x, np.zeros(6), np.eye(3)[0], unit=1000.0)

    assert strict.steps.max() > 64 and set(lax.steps) == {64}


def test_an_input_that_leads_nowhere_adds_nothing() -> None:
    spec, weights = deep()
    weights["hidden.0.kernel"][2] = 0

    found = explain(spec, weights, drawn(40, 6), np.ones(6), np.eye(3)[0])

    assert not found.added[:, 2].any() and found.added[:, 1].any()


def test_inputs_that_do_the_same_add_the_same() -> None:
    spec, weights = deep()
    weights["hidden.0.kernel"][3] = weights["hidden.0.kernel"][1]
    x = drawn(40, 6)
    x[:, 3] = x[:, 1]

    found = explain(spec, weights, x, np.zeros(6), np.eye(3)[2])

    np.testing.assert_allclose(found.added[:, 3], found.added[:, 1], atol=1e-7)


def test_a_row_at_the_baseline_has_nothing_to_explain() -> None:
    spec, weights = deep()

    found = explain(spec, weights, np.ones((1, 6), np.float32), np.ones(6), np.eye(3)[0])

    assert not found.added.any() and found.errors[0] < 1e-7


def test_a_row_is_explained_alike_whoever_stands_beside_it() -> None:
    spec, weights = deep()
    x = drawn(1500, 6)

    many = explain(spec, weights, x, np.zeros(6), np.eye(3)[0])
    one = explain(spec, weights, x[7:8], np.zeros(6), np.eye(3)[0])

    np.testing.assert_allclose(one.added[0], many.added[7], atol=1e-6)


def test_what_is_no_number_ends() -> None:
    spec = NetworkSpec(2, 1, (Layer(units=2, activation="exponential"),), "linear")
    weights = networks.weights(networks.build(spec, seed=1))

    found = explain(spec, weights, np.array([[np.nan, 1.0], [1e30, 1e30], [0.1, 0.2]], np.float32), np.zeros(2),
                    np.ones(1))  # fmt: skip

    assert np.isnan(found.errors[0]) and np.isfinite(found.errors[2]) and set(found.steps[[0, 2]]) == {64}


def test_no_rows_are_explained_at_once() -> None:
    spec, weights = deep()

    assert explain(spec, weights, np.empty((0, 6), np.float32), np.zeros(6), np.eye(3)[0]).added.shape == (0, 6)
