"""What the network for gradients tells, and its gradients, are those of the plain network."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from shared.kinds.analysis import ScoreParams
from shared.pretrained import PRETRAINED
from worker import reasons
from worker.audio.mel import BANDS, WINDOW_FRAMES
from worker.kinds.analysis import listen
from worker.pretrained import musicnn

SHARES = np.array([0.3, 0.6, 0.9], np.float32)
PLACE = 3

Network = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def windows(seed: int, count: int) -> np.ndarray:
    """Log-mel windows of bands that differ in level and drift, (count, 187, 96)."""
    random = np.random.default_rng(seed)
    level = random.uniform(0, 3, (1, 1, BANDS)) + random.normal(size=(count, WINDOW_FRAMES, BANDS)).cumsum(axis=1) / 20
    return np.clip(level + random.normal(size=level.shape) * 0.3, 0, 4.5).astype(np.float32)


def slopes(judge: reasons.Judge, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        watched = tf.constant(paths)
        tape.watch(watched)
        odds = judge(watched)
    return odds.numpy(), tape.gradient(odds, watched).numpy()


def plain_judge(name: str, place: int) -> reasons.Judge:
    """The logit of a tag of each path, the mean over its windows, window by window through the plain network."""
    network = musicnn.load(name).model

    def run(paths: Any) -> Any:
        each = [network(paths[:, window], training=False)["logits"][:, place] for window in range(paths.shape[1])]
        return tf.add_n(each) / len(each)

    return run


@cache
def both(name: str, seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Log-odds and gradients on two points of a path, of the plain network and of what explains a tag."""
    paths = SHARES[:, None, None, None] * windows(seed, count)
    (model,) = [each.name for each in PRETRAINED if each.tagger == name]
    analyst = listen.open(model, ScoreParams())
    return [slopes(judge, paths) for judge in (plain_judge(name, PLACE), analyst.judge(analyst.model.tags[PLACE]))]


def assert_same_slopes(ours: np.ndarray, plain: np.ndarray) -> None:
    """In each window but those where two places tie for a maximum: rounding says which of them has the slope there.

    One window in some ten has such a tie, and then differs by some hundredths in float32, whichever network it is. A
    wrong kernel, filter or sign is wrong in all windows.
    """
    assert ours.shape == plain.shape
    axes = (-2, -1)
    assert (np.abs(plain).max(axis=axes) > 1e-4).all()
    off = np.linalg.norm(ours - plain, axis=axes) / np.linalg.norm(plain, axis=axes)
    assert np.median(off) < 1e-5 and off.max() < 5e-2


@pytest.fixture(params=musicnn.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("seed", "count"), [(1, 1), (2, 2)])
def test_a_tag_is_explained_with_the_log_odds_of_the_plain_network(name: str, seed: int, count: int) -> None:
    (plain, _), (ours, _) = both(name, seed, count)

    assert ours.shape == SHARES.shape and len(set(ours)) == len(SHARES)
    np.testing.assert_allclose(ours, plain, rtol=1e-4)


@pytest.mark.parametrize(("seed", "count"), [(1, 1), (2, 2)])
def test_its_gradients_are_those_of_the_plain_network(name: str, seed: int, count: int) -> None:
    (_, plain), (_, ours) = both(name, seed, count)

    assert ours.shape == (len(SHARES), count, WINDOW_FRAMES, BANDS)
    assert_same_slopes(ours, plain)


def test_gradients_of_the_embedding_are_those_of_the_plain_network(name: str) -> None:
    tagger, mel = musicnn.load(name), windows(4, 3)
    weights = np.random.default_rng(5).normal(size=tagger.embedding_size).astype(np.float32)

    def through(network: Network) -> np.ndarray:
        return slopes(lambda some: tf.linalg.matvec(network(some)["embedding"], weights), mel)[1]

    plain, ours = through(tagger.model), through(tagger.differentiable)

    assert_same_slopes(ours, plain)


def test_other_tags_and_other_numbers_of_windows_are_not_traced_again(name: str) -> None:
    network = musicnn.load(name).differentiable

    for place, count in ((0, 1), (7, 2), (49, 3)):
        slopes(lambda some, place=place: network(some)["logits"][:, place], windows(6, count))

    assert network.experimental_get_tracing_count() == 1
