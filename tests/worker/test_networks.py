"""Networks as data: what Keras draws for them, and back from JSON as they were."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from shared.fronts import Augmentation, usual
from shared.networks import Layer
from tests.worker.training_cases import bare
from worker import networks
from worker.networks import NetworkSpec

HIDDEN = (
    Layer(units=10, dropout=0.2),
    Layer(units=8, activation="tanh", batch_normalization=True, dropout=0.1, l2=0.01),
)
SPEC = NetworkSpec(6, 3, HIDDEN, "softmax")
HEARING = SPEC.under(usual(1, Augmentation(gain=0.25)))


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1])
def test_the_first_weights_are_those_of_bare_keras_under_the_same_seed(seed: int) -> None:
    model = networks.build(SPEC, seed=seed)

    for ours, theirs in zip(model.variables, bare(SPEC, seed=seed).variables, strict=True):
        assert np.array_equal(np.asarray(ours.numpy()), np.asarray(theirs.numpy())), ours.path


def test_weights_have_names_of_ours_and_find_their_places_again() -> None:
    model, other = networks.build(SPEC, seed=1), networks.build(SPEC, seed=2)
    arrays = networks.weights(model)

    networks.assign(other, arrays)

    assert {"hidden.0.kernel", "hidden.0.bias", "hidden.1.gamma", "hidden.1.moving_mean", "output.kernel"} <= set(
        arrays
    )
    x = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    assert np.array_equal(np.asarray(model(x)), np.asarray(other(x)))


def test_a_missing_array_is_no_network() -> None:
    model = networks.build(SPEC, seed=1)
    arrays = networks.weights(model)
    del arrays["output.bias"]

    with pytest.raises(KeyError):
        networks.assign(model, arrays)


def test_a_description_survives_json() -> None:
    assert NetworkSpec.from_json(SPEC.as_json()) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"output_activation": "exec"},
        {"hidden": [{"units": 4, "activation": "lambda"}]},
        {"hidden": [{"units": 4, "code": "import os"}]},
        {"hidden": [{"units": 0}]},
    ],
    ids=["version", "output", "activation", "unknown-field", "no-units"],
)
def test_a_description_that_is_not_ours_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ValidationError)):
        NetworkSpec.from_json({**SPEC.as_json(), **change})


def test_a_front_survives_json_and_a_dense_network_says_nothing_of_one() -> None:
    assert NetworkSpec.from_json(HEARING.as_json()) == HEARING
    assert HEARING.as_json()["version"] == 2
    assert "front" not in SPEC.as_json() and SPEC.as_json()["version"] == 1


@pytest.mark.parametrize(
    "change",
    [{"version": 1}, {"version": 3}, {"inputs": 255}, {"front": {**HEARING.as_json()["front"], "version": 2}}],
    ids=["dense", "later", "inputs", "front-version"],
)
def test_a_front_that_is_not_ours_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ValidationError)):
        NetworkSpec.from_json({**HEARING.as_json(), **change})


def test_a_front_has_weights_of_stable_names_and_no_other_state_in_them() -> None:
    arrays = networks.weights(networks.build(HEARING, seed=1))

    assert {"front.mean", "front.scale", "front.0.kernel", "front.0.gamma", "front.3.moving_variance"} <= set(arrays)
    assert not any("seed" in name for name in arrays)
    assert arrays["front.0.kernel"].shape == (3, 3, 1, 16) and arrays["hidden.0.kernel"].shape == (256, 10)
