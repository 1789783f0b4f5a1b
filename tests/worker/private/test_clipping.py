"""One private step: what each unit adds is clipped exactly, who is drawn, and how much noise there is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.networks import Layer
from worker import networks, optimizers
from worker.networks import NetworkSpec
from worker.private import clipping, units


def clip(network: keras.Sequential, x: np.ndarray, y: np.ndarray, codes: np.ndarray, *, clip_norm: float,
         loss: str = "mean_squared_error", weights: np.ndarray | None = None) -> list[np.ndarray]:  # fmt: skip
    """The clipped sum of all units of these codes."""
    found = units.gather(codes, at_most=1000)
    order, owners = found.places, np.repeat(np.arange(len(found)), found.lengths).astype(np.int32)
    given = np.ones(len(x), np.float32) if weights is None else weights
    gradients, _, _ = clipping.clipped(
        network, optimizers.losses(loss, 1.0),
        (tf.constant(x[order]), tf.constant(y[order]), tf.constant(given[order])),
        (tf.constant(owners), tf.constant(len(found))), clip_norm=clip_norm, longest=found.longest,
    )  # fmt: skip
    return [each.numpy() for each in gradients]


def linear(kernel: list[list[float]], bias: list[float]) -> keras.Sequential:
    spec = NetworkSpec(len(kernel), len(bias), (), "linear")
    model = networks.build(spec, seed=0)
    model.layers[0].set_weights([np.array(kernel, np.float32), np.array(bias, np.float32)])
    return model


def by_hand(model: keras.Sequential, loss: str, x: np.ndarray, y: np.ndarray, codes: np.ndarray, clip_norm: float,
            weights: np.ndarray) -> list[np.ndarray]:  # fmt: skip
    """The same by the definition: a tape for each example, a mean for each unit, a norm, a sum."""
    total = [np.zeros(each.shape) for each in model.trainable_variables]
    for code in np.unique(codes):
        mine = []
        for place in np.flatnonzero(codes == code):
            with tf.GradientTape() as tape:
                said = model(x[place : place + 1], training=False)
                value = optimizers.loss(loss, 1.0)(y[place : place + 1], said) * weights[place]
            mine.append([each.numpy() for each in tape.gradient(value, [v.value for v in model.trainable_variables])])
        mean = [np.mean(parts, axis=0) for parts in zip(*mine, strict=True)]
        norm = np.sqrt(sum((part.astype(np.float64) ** 2).sum() for part in mean))
        total = [one + part * min(1.0, clip_norm / norm) for one, part in zip(total, mean, strict=True)]
    return total


def test_a_linear_models_gradients_are_clipped_as_computed_by_hand() -> None:
    # Half the square is not what Keras has: a loss of (w·x + b - y)², its gradient 2 (w·x + b - y) · (x, 1).
    model = linear([[1.0], [2.0]], [0.5])
    x = np.array([[3.0, 0.0], [0.0, 0.25]], np.float32)
    y = np.array([[1.5], [0.875]], np.float32)
    # First row: error 2, gradient (12, 0, 4), norm sqrt(160). Second: error 0.125, gradient (0, 0.0625, 0.25).
    shrunk = 1 / np.sqrt(160)

    kernel, bias = clip(model, x, y, np.arange(2), clip_norm=1.0)

    assert kernel[:, 0] == pytest.approx([12 * shrunk, 0.0625], rel=1e-6)
    assert bias == pytest.approx([4 * shrunk + 0.25], rel=1e-6)


def test_a_groups_rows_are_clipped_as_one() -> None:
    # Two rows whose gradients point against each other come to nothing together, although each is long.
    model = linear([[1.0]], [0.0])
    x, y = np.array([[1.0], [1.0]], np.float32), np.array([[11.0], [-9.0]], np.float32)

    apart = clip(model, x, y[[0, 0]], np.arange(2), clip_norm=1.0)
    together = clip(model, x, y, np.zeros(2, np.int64), clip_norm=1.0)

    assert apart[0][0, 0] == pytest.approx(-2 / np.sqrt(2), rel=1e-6)
    assert np.abs(np.concatenate([each.ravel() for each in together])).max() < 1e-6


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mean_squared_error", "mean_absolute_error", "huber"])
@pytest.mark.parametrize("size", [1, 4], ids=["rows", "groups"])
def test_a_deep_networks_sum_is_that_of_a_tape_for_each_example(loss: str, size: int) -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(24, 5)).astype(np.float32), random.integers(0, 2, (24, 2)).astype(np.float32)
    weights, codes = random.uniform(0.2, 3, 24).astype(np.float32), random.permutation(24) // size
    spec = NetworkSpec(5, 2, (Layer(units=7, activation="tanh"), Layer(units=6)), "sigmoid")
    model = networks.build(spec, seed=3)

    ours = clip(model, x, y, codes, clip_norm=0.05, loss=loss, weights=weights)

    theirs = by_hand(model, loss, x, y, codes, 0.05, weights)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_classes_of_which_one_holds_are_clipped_alike() -> None:
    random = np.random.default_rng(2)
    x, y = random.normal(size=(9, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[random.integers(0, 3, 9)]
    model = networks.build(NetworkSpec(4, 3, (Layer(units=5),), "softmax"), seed=0)
    codes, ones = np.arange(9) // 2, np.ones(9, np.float32)

    ours = clip(model, x, y, codes, clip_norm=0.1, loss="categorical_crossentropy")

    for one, other in zip(ours, by_hand(model, "categorical_crossentropy", x, y, codes, 0.1, ones), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_a_group_of_many_wild_rows_moves_the_sum_by_no_more_than_the_clip_norm() -> None:
    random = np.random.default_rng(3)
    model = networks.build(NetworkSpec(4, 1, (Layer(units=8),), "linear"), seed=0)
    x, y = random.normal(size=(60, 4)).astype(np.float32), random.normal(size=(60, 1)).astype(np.float32)
    wild_x = np.concatenate([x, 1e6 * np.ones((500, 4), np.float32)])
    wild_y = np.concatenate([y, -1e6 * np.ones((500, 1), np.float32)])

    without = clip(model, x, y, np.arange(60) // 6, clip_norm=0.7)
    with_it = clip(model, wild_x, wild_y, np.append(np.arange(60) // 6, np.full(500, 99)), clip_norm=0.7)

    moved = np.sqrt(
        sum(((one - other).astype(np.float64) ** 2).sum() for one, other in zip(with_it, without, strict=True))
    )
    assert moved == pytest.approx(0.7, rel=1e-3)


def test_a_unit_whose_gradient_is_no_number_adds_nothing() -> None:
    model = linear([[1.0]], [0.0])
    x, y = np.array([[1.0], [np.inf]], np.float32), np.array([[1.5], [0.0]], np.float32)

    kernel, bias = clip(model, x, y, np.arange(2), clip_norm=10.0)

    assert (kernel[0, 0], bias[0]) == (-1.0, -1.0)


def test_noise_has_the_asked_deviation_and_no_mean() -> None:
    [drawn] = clipping.noise([(1000, 1000)], tf.constant([5, 7], tf.int64), 2.5)

    values = drawn.numpy().astype(np.float64).ravel()
    # Standard errors of a mean and of a deviation; five of them.
    assert abs(values.mean()) < 5 * 2.5 / 1000
    assert abs(values.std() - 2.5) < 5 * 2.5 / np.sqrt(2 * len(values))


def test_noise_of_other_steps_and_of_other_weights_is_other_noise() -> None:
    first, second = clipping.noise([(10_000,), (10_000,)], tf.constant([5, 7], tf.int64), 1.0)
    [later] = clipping.noise([(10_000,)], tf.constant([5, 8], tf.int64), 1.0)
    [again] = clipping.noise([(10_000,)], tf.constant([5, 7], tf.int64), 1.0)

    for other in (second, later):
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(10_000)
    assert (first.numpy() == again.numpy()).all()


@pytest.fixture(scope="module", params=["at once", "three at a time"])
def drawn(request: pytest.FixtureRequest) -> np.ndarray:
    """Which of 50 units were drawn in each of 20,000 steps, with a probability of 0.15."""
    ways = {
        "at once": lambda seed: clipping.sample(50, 0.15, seed),
        # As seldom happens: what is drawn at once is not enough.
        "three at a time": lambda seed: clipping._draw(50, 0.15, seed, at_once=3),
    }
    sample = tf.function(ways[request.param])
    steps = np.zeros((20_000, 50), bool)
    for step in range(len(steps)):
        steps[step, sample(tf.constant([11, step], tf.int64)).numpy()] = True
    return steps


def test_batches_are_as_large_as_the_binomial_has_them(drawn: np.ndarray) -> None:
    sizes, q = drawn.sum(axis=1), 0.15
    variance = 50 * q * (1 - q)

    assert abs(sizes.mean() - 50 * q) < 5 * np.sqrt(variance / len(sizes))
    # The variance of a sample variance of a binomial, whose fourth moment is near that of a normal.
    assert abs(sizes.var() - variance) < 5 * variance * np.sqrt(2 / len(sizes)) * 1.1
    assert sizes.min() < 2 and sizes.max() > 15


def test_each_unit_is_drawn_whatever_the_others_and_the_other_steps_do(drawn: np.ndarray) -> None:
    steps, units_ = drawn.shape
    values = drawn.astype(np.float64)
    together = np.corrcoef(values, rowvar=False)[np.triu_indices(units_, 1)]
    after = [np.corrcoef(values[:-1, unit], values[1:, unit])[0, 1] for unit in range(units_)]

    assert np.abs(values.mean(axis=0) - 0.15).max() < 5 * np.sqrt(0.15 * 0.85 / steps)
    assert np.abs(together).max() < 5.5 / np.sqrt(steps)
    assert np.abs(after).max() < 5 / np.sqrt(steps)


def test_without_its_last_unit_a_draw_is_the_same_for_all_others() -> None:
    seed = tf.constant([3, 4], tf.int64)

    whole, fewer = clipping.sample(1000, 0.3, seed).numpy(), clipping.sample(999, 0.3, seed).numpy()

    assert (whole[whole < 999] == fewer).all()


@pytest.mark.parametrize(("units_", "probability"), [(1, 1e-9), (1, 1.0), (7, 1.0), (3, 0.999999), (10**6, 1e-6)])
def test_a_draw_is_rising_and_within_whatever_the_chance(units_: int, probability: float) -> None:
    chosen = clipping.sample(units_, probability, tf.constant([1, 2], tf.int64)).numpy()

    assert (np.diff(chosen) > 0).all() and ((chosen >= 0) & (chosen < units_)).all()
    assert probability < 1.0 or len(chosen) == units_
