"""Private steps over listeners, held against gradients written out one by one, and against their own account."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from shared.kinds.recommendation import TrainParams
from worker.private.plan import Plan
from worker.recommenders import towers_batches, towers_private, towers_training
from worker.recommenders.histories import Histories, gather
from worker.recommenders.towers_network import NEVER, Settings
from worker.recommenders.towers_private import PrivateNetwork
from worker.recommenders.towers_training import State

USERS, ITEMS, SIZE = 60, 40, 8


def asked(**privacy: Any) -> TrainParams:
    privacy = {"noise_multiplier": 1.0, **privacy}
    return TrainParams.model_validate({"privacy": privacy, "epochs": 2, "batch_size": 6})


def settings(params: TrainParams) -> Settings:
    return Settings("autoencoder", "damped", SIZE, (), 0.5, 0.0, params.epochs_at_most, params)


def plays(seed: int = 0) -> Histories:
    random = np.random.default_rng(seed)
    user, item = random.integers(0, USERS, USERS * 6), random.integers(0, ITEMS, USERS * 6)
    given = gather(user, item, 1.0 + random.geometric(0.3, USERS * 6), users=USERS, items=ITEMS)
    return given.take(np.flatnonzero(given.lengths > 0))


def values(seed: int = 1) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    shapes = {"reading": (ITEMS, SIZE), "vectors": (ITEMS, SIZE), "bias": (ITEMS,)}
    return {name: tf.constant(random.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()}


def hidden(given: Histories) -> towers_batches.Batch:
    return towers_batches.hide(given.weighted("damped"), 0.5, np.random.default_rng(2))


def summed(batch: towers_batches.Batch, *, clip_norm: float) -> dict[str, np.ndarray]:
    said = tuple(tf.constant(each) for each in (np.int64(batch.rows), batch.read, batch.shares, batch.wanted))
    return {name: each.numpy() for name, each in towers_private.clipped(values(), said, clip_norm=clip_norm).items()}


def one_by_one(batch: towers_batches.Batch, *, clip_norm: float) -> dict[str, np.ndarray]:
    """By TensorFlow's own derivative of one listener's loss after the other."""
    weights = values()
    totals = {name: np.zeros(value.shape) for name, value in weights.items()}
    for row in range(batch.rows):
        is_read, is_wanted = batch.read[:, 0] == row, batch.wanted[:, 0] == row
        read, wanted = batch.read[is_read, 1], batch.wanted[is_wanted, 1]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            user = tf.linalg.matvec(tf.gather(weights["reading"], read), batch.shares[is_read], transpose_a=True)
            logits = tf.linalg.matvec(weights["vectors"], user) + weights["bias"]
            logits = tf.tensor_scatter_nd_update(logits, read[:, None], np.full(len(read), NEVER, np.float32))
            loss = -tf.reduce_mean(tf.gather(tf.nn.log_softmax(logits), wanted))
        gradient = {
            name: tf.convert_to_tensor(each).numpy().astype(np.float64)
            for name, each in tape.gradient(loss, weights).items()
        }
        norm = np.sqrt(sum((each**2).sum() for each in gradient.values()))
        for name, each in gradient.items():
            totals[name] += each * min(1.0, clip_norm / norm)
    return totals


@pytest.mark.parametrize("clip_norm", [0.3, 1.0, 1e6])
def test_the_clipped_sum_is_that_of_gradients_written_out(clip_norm: float) -> None:
    batch = hidden(plays())

    said, wanted = summed(batch, clip_norm=clip_norm), one_by_one(batch, clip_norm=clip_norm)

    for name, each in wanted.items():
        assert said[name] == pytest.approx(each, abs=2e-5), name


def without(batch: towers_batches.Batch, row: int) -> towers_batches.Batch:
    """The same batch of one listener less."""

    def others(pairs: np.ndarray) -> np.ndarray:
        kept = pairs[pairs[:, 0] != row]
        return np.stack([kept[:, 0] - (kept[:, 0] > row), kept[:, 1]], axis=1)

    shares = batch.shares[batch.read[:, 0] != row]
    return towers_batches.Batch(batch.rows - 1, others(batch.read), shares, others(batch.wanted), batch.seed)


@pytest.mark.parametrize("left_out", [0, 17])
def test_one_listener_more_moves_the_sum_by_the_clip_norm_at_most(left_out: int) -> None:
    batch = hidden(plays())
    fewer = without(batch, left_out)

    more, less = summed(batch, clip_norm=0.5), summed(fewer, clip_norm=0.5)

    moved = np.sqrt(sum(((more[name] - less[name]) ** 2).sum() for name in more))
    assert 0.4 < moved <= 0.5 + 1e-4


def test_a_listener_whose_gradient_is_no_number_is_not_seen() -> None:
    batch = hidden(plays())
    shares = batch.shares.copy()
    shares[batch.read[:, 0] == 3] = np.nan
    spoilt = towers_batches.Batch(batch.rows, batch.read, shares, batch.wanted, batch.seed)

    assert all(np.isfinite(each).all() for each in summed(spoilt, clip_norm=1.0).values())


def steps(params: TrainParams, given: Histories) -> Plan:
    return towers_private.plan(given, params)


def test_every_listener_is_drawn_with_the_same_chance_and_none_are_drawn_too() -> None:
    params, given = asked(noise_seed=1), plays()
    network = PrivateNetwork(settings(params), given.weighted("damped"), steps(params, given))
    sizes = np.array([network._draw(number).rows for number in range(2000)])

    sampling = network._plan.sampling
    assert sampling == pytest.approx(6 / len(given))
    assert sizes.mean() == pytest.approx(len(given) * sampling, rel=0.05)
    # Poisson sampling: of a fixed size the variance would be nought.
    assert sizes.var() == pytest.approx(len(given) * sampling * (1 - sampling), rel=0.2)
    assert (sizes == 0).any()
    assert network.step(int(np.flatnonzero(sizes == 0)[0]), rate=0.01)


def test_the_noise_is_as_large_as_the_account_says() -> None:
    params, given = asked(noise_multiplier=3.0, clip_norm=2.0, noise_seed=1), plays()
    network = PrivateNetwork(settings(params), given.weighted("damped"), steps(params, given))
    none = (np.int64(0), np.empty((0, 2), np.int64), np.empty(0, np.float32), np.empty((0, 2), np.int64))

    noise = [network._private(*(tf.constant(each) for each in none), tf.constant([1, n], tf.int64)) for n in range(8)]

    drawn = np.concatenate([np.ravel(each) for step in noise for each in step])
    assert drawn.std() * network._plan.batch == pytest.approx(3.0 * 2.0, rel=0.05)
    assert abs(drawn.mean() * network._plan.batch) < 0.5


def fit(params: TrainParams, given: Histories, **rest: Any) -> towers_training.Fitted:
    return towers_training.fit(
        given, None, settings(params), judge=None, patience=9, told=rest.pop("told", lambda figures: None),
        steps=steps(params, given), **rest,
    )  # fmt: skip


@pytest.mark.parametrize("noise_seed", [None, 5])
def test_a_training_goes_on_after_a_break_with_the_steps_that_it_would_have_taken(noise_seed: int | None) -> None:
    params, given, saved = asked(noise_seed=noise_seed), plays(), list[State]()
    whole = fit(params, given, save=saved.append)

    resumed = fit(params, given, state=saved[0])

    assert np.array_equal(whole.towers.vectors, resumed.towers.vectors)
    assert np.array_equal(whole.towers.bias, resumed.towers.bias)
    assert towers_private.KEY in "".join(saved[0].arrays) and whole.epochs == 2


def test_without_a_seed_no_two_trainings_are_alike_and_no_figure_of_the_plays_is_told() -> None:
    params, given, told = asked(), plays(), list[dict[str, float]]()

    first, second = (fit(params, given, told=told.append).towers for _ in range(2))

    assert not np.array_equal(first.bias, second.bias)
    assert {name for figures in told for name in figures} == {"epoch", "learning_rate"}


def test_what_nobody_has_played_has_its_weights_like_all_else() -> None:
    params, given = asked(), plays()
    wider = Histories(given.indptr, given.items, given.weights, given.count + 5)

    towers = fit(params, wider).towers

    assert towers.known.all() and len(towers.vectors) == given.count + 5
    begun = PrivateNetwork(settings(params), wider.weighted("damped"), steps(params, wider)).values()
    assert not begun["bias"].any(), "how popular an item is must not be known before the first step"
