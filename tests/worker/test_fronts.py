"""Fronts change what they train on as promised, and nothing else; their answer is Keras's."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from shared.fronts import Augmentation, Block, Front, usual
from shared.networks import Layer, measure
from worker import fronts, networks
from worker.networks import NetworkSpec

SMALL = (Block(filters=3, frames=4, bands=4), Block(filters=5, frames=2, bands=3))
OFF: dict[str, Any] = {"frequency_mask": 0, "time_mask": 0, "gain": 0, "shift": 0}


def spec(augmentation: Augmentation | None = None, *, frames: int = 40) -> NetworkSpec:
    front = Front(frames=frames, bands=24, blocks=SMALL, augmentation=augmentation)
    return NetworkSpec(1, 2, (Layer(units=4),), "softmax").under(front)


def masked(share: float, *, times: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Which bands and which frames of each row are 0 after masks of this share of 100 frames and 40 bands."""
    layer = fronts.Masks(Augmentation(frequency_mask=share, time_mask=share))
    found = np.asarray(layer(tf.ones((times, 100, 40)), training=True)) == 0
    return found.all(axis=1), found.all(axis=2)


def test_masks_are_one_stretch_of_every_size_up_to_the_share_and_of_no_other() -> None:
    bands, frames = masked(0.25)

    assert set(bands.sum(axis=1).tolist()) == set(range(11))
    assert set(frames.sum(axis=1).tolist()) == set(range(26))
    # One stretch: it begins once.
    assert (np.diff(np.pad(frames, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(axis=1).max() == 1
    assert frames[:, 0].any() and frames[:, -1].any() and bands[:, 0].any() and bands[:, -1].any()


def test_no_share_is_no_mask() -> None:
    assert not any(found.any() for found in masked(0.0))


def test_a_roll_keeps_every_frame_in_its_order() -> None:
    layer = fronts.GainAndRoll(Augmentation.model_validate({**OFF, "shift": 1}))
    x = np.repeat(np.arange(30, dtype=np.float32)[None, :, None], 50, axis=0)

    rolled = np.asarray(layer(x, training=True))[:, :, 0]

    firsts = rolled[:, 0].astype(int)
    assert len(set(firsts.tolist())) > 10
    np.testing.assert_array_equal(rolled, (np.arange(30) + firsts[:, None]) % 30)


def test_a_gain_is_one_of_the_power_before_the_logarithm_and_silence_stays_silent() -> None:
    power = np.array([0.0, 1e-6, 1e-3, 1.0, 50.0])

    louder = np.asarray(fronts.louder(np.log10(1 + 1e4 * power), 0.5))

    np.testing.assert_allclose(louder, np.log10(1 + 1e4 * power * 10**0.5), atol=1e-6)


def test_gains_differ_from_row_to_row_and_stay_within_their_bounds() -> None:
    layer = fronts.GainAndRoll(Augmentation.model_validate({**OFF, "gain": 0.3}))
    x = np.full((200, 4, 3), np.log10(1 + 1e4), np.float32)

    decades = np.log10((10 ** np.asarray(layer(x, training=True)) - 1) / 1e4)

    assert np.ptp(decades, axis=(1, 2)).max() < 1e-3
    assert -0.301 < decades.min() < -0.25 and 0.25 < decades.max() < 0.301


def test_at_scoring_nothing_is_changed() -> None:
    wild, tame = networks.build(spec(Augmentation()), seed=1), networks.build(spec(), seed=1)
    networks.assign(tame, networks.weights(wild))
    x = np.random.default_rng(0).random((6, 40, 24)).astype(np.float32)

    said = np.asarray(wild(x, training=False))

    assert np.array_equal(said, np.asarray(tame(x, training=False)))
    assert not np.allclose(said, np.asarray(wild(x, training=True)), atol=1e-3)


def test_bands_are_normalised_by_the_training_rows_and_a_silent_one_stays_zero() -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(30, 40, 24)) * np.arange(24) / 8 + np.arange(24)).astype(np.float16)
    model = networks.build(spec(), seed=1)

    fronts.learn(model, x)

    found = np.asarray(model.get_layer("front")(x.astype(np.float32)))
    np.testing.assert_allclose(found.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=(0, 1))[1:], 1, atol=1e-3)
    assert np.abs(found[:, :, 0]).max() == 0


def test_the_compiled_front_and_the_dense_layers_say_what_the_whole_network_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from worker import forward

    monkeypatch.setattr(fronts, "WINDOWS_AT_ONCE", 1)  # several calls, the last of them with fewer rows
    described, x = spec(Augmentation()), np.random.default_rng(0).random((11, 40, 24)).astype(np.float16)
    model = networks.build(described, seed=3)
    fronts.learn(model, x)
    weights = networks.weights(model)
    assert described.front is not None

    said = forward.compile(described, weights)(fronts.compile(described.front, weights)(x))

    np.testing.assert_allclose(said, np.asarray(model(x, training=False)), atol=1e-5)


@pytest.mark.parametrize("windows", [1, 3])
def test_the_size_said_at_the_door_is_the_size_that_is_built(windows: int) -> None:
    front = usual(windows, Augmentation())
    described = NetworkSpec(1, 7, (Layer(units=16, batch_normalization=True), Layer(units=8)), "softmax").under(front)

    size = measure(described.hidden, inputs=described.inputs, outputs=7, batch_size=32, front=front, crops=10)

    assert size.parameters == sum(array.size for array in networks.weights(networks.build(described, seed=0)).values())
    none = measure(described.hidden, inputs=described.inputs, outputs=7, batch_size=32, front=front)
    assert size.memory_bytes - none.memory_bytes == 10 * windows * 187 * 96 * 2 * 2


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": []},
        {"blocks": [{"filters": 4, "frames": 8, "bands": 8}] * 4},
        {"blocks": [{"filters": 513, "frames": 1, "bands": 1}]},
        {"bands": 97},
        {"frames": 3741},
        {"augmentation": {"gain": 2.0}},
        {"code": "import os"},
    ],
    ids=["no-blocks", "pooled-away", "filters", "bands", "frames", "gain", "unknown-field"],
)
def test_a_front_beyond_its_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Front.model_validate({**usual(1, None).model_dump(), **change})
