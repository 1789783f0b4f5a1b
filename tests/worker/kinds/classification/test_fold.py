"""A temperature in the output layer says what the temperature beside the network says."""

import numpy as np
import pytest

from worker.artifacts import Model
from worker.features import as_json
from worker.kinds.classification import certainty, predict
from worker.kinds.classification.answers import probabilities_of
from worker.kinds.classification.data import Target
from worker.networks import NetworkSpec


def model(encoding: str, labels: list[str], temperatures: list[float]) -> Model:
    outputs = 1 if encoding == "binary" else len(labels)
    activation = "softmax" if encoding == "one_hot" else "sigmoid"
    network = NetworkSpec(inputs=3, hidden=(), outputs=outputs, output_activation=activation)
    random = np.random.default_rng(0)
    weights = {
        "output.kernel": random.normal(size=(3, outputs)).astype(np.float32),
        "output.bias": random.normal(size=outputs).astype(np.float32),
    }
    target = {"encoding": encoding, "labels": labels, "columns": ["genre"], "temperatures": temperatures}
    positive = {"positive": labels[-1]} if encoding == "binary" else {}
    return Model("classification", network, weights, as_json(()), {**target, **positive})


@pytest.mark.parametrize(
    ("encoding", "labels", "temperatures"),
    [
        ("binary", ["pop", "rock"], [2.5]),
        ("one_hot", ["folk", "pop", "rock"], [0.4]),
        ("multi_hot", ["folk", "pop", "rock"], [0.5, 1.0, 3.0]),
        ("one_hot", ["folk", "pop", "rock"], []),
    ],
)
def test_the_probabilities_are_the_same(encoding: str, labels: list[str], temperatures: list[float]) -> None:
    beside = model(encoding, labels, temperatures)
    within = certainty.fold(beside)
    x = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)

    said = [
        probabilities_of(Target.model_validate(each.target), predict.open(each).network(x)) for each in (beside, within)
    ]

    assert Target.model_validate(within.target).temperatures == ()
    np.testing.assert_allclose(said[1], said[0], atol=2e-6)
