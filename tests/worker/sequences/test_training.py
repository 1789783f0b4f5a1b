"""A network of sequences learns, stops, is resumed, and says when it cannot."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import Drained, JobCancelled, JobFailed
from shared.sequence_networks import Decoder, Gru
from shared.sequence_params import SequenceTraining
from worker.callbacks import Checkpoint
from worker.sequences import training
from worker.sequences.spec import SequenceSpec
from worker.sequences.streams import Steps

ROOT = Path(__file__).parents[3]
NETWORKS = {
    "gru": {"type": "gru", "units": [16, 12], "embedding": 6, "head": 16},
    "decoder": {"type": "decoder", "layers": 2, "width": 16, "heads": 2, "reach": 12, "embedding": 6, "head": 16},
}


@dataclass
class Recorder:
    """A watch that saves after every epoch and leaves after some."""

    leave_after: int | None = None
    leaving: type[Exception] = Drained
    epochs: list[dict[str, float]] = field(default_factory=list)
    saved: list[Checkpoint] = field(default_factory=list)
    enough_after: int | None = None

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        self.epochs += epochs

    def check(self) -> None:
        if self.leave_after is not None and len(self.epochs) >= self.leave_after:
            raise self.leaving

    def is_checkpoint_due(self) -> bool:
        return True

    def save(self, checkpoint: Checkpoint) -> None:
        self.saved.append(checkpoint)

    def is_enough(self) -> bool:
        return self.enough_after is not None and len(self.epochs) >= self.enough_after

    def pauses_after(self, epoch: int, total: int) -> int | None:
        return None

    def is_budget_spent(self) -> bool:
        return False


def params_of(name: str = "gru", **values: Any) -> SequenceTraining:
    return SequenceTraining.model_validate({"network": NETWORKS[name], "batch_size": 4, "window": 16, **values})


def counting(length: int, *, first: int = 0) -> Steps:
    """Two fields that count up, the second in step with the first: what comes next is certain."""
    numbers = (np.arange(first, first + length) % 5)[:, None]
    codes = np.concatenate([numbers, (numbers + 1) % 5], axis=1).astype(np.int32)
    return Steps(codes, codes, np.zeros((length, 2), np.float32))


PIECES = [counting(40, first=first) for first in range(6)]


def spec_of(params: SequenceTraining) -> SequenceSpec:
    return SequenceSpec(params.network, codes=(5, 5), tokens=(5, 5), context=2)


def fit(params: SequenceTraining, watch: Recorder, *, epochs: int = 4, checkpoint: Checkpoint | None = None) -> Any:
    return training.fit(
        spec_of(params),
        params,
        epoch=lambda number: PIECES[:5],
        epochs=epochs,
        validation=PIECES[5:],
        watch=watch,
        checkpoint=checkpoint,
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_certain_is_learned(name: str) -> None:
    watch = Recorder()

    fit(params_of(name, average=0.5), watch, epochs=60)

    assert watch.epochs[0]["val_loss"] > 1.0
    assert watch.epochs[-1]["val_loss"] < 0.3
    assert watch.epochs[-1]["val_accuracy"] > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_that_was_left_goes_on_as_if_nothing_had_happened(name: str) -> None:
    params = params_of(name)
    whole = fit(params, Recorder())
    left = Recorder(leave_after=2)
    with pytest.raises(Drained):
        fit(params, left)

    resumed = fit(params, Recorder(), checkpoint=left.saved[-1])

    assert resumed.history == whole.history
    assert all((resumed.weights[key] == whole.weights[key]).all() for key in whole.weights)


def test_a_state_that_is_json_is_all_that_a_checkpoint_has_beside_arrays() -> None:
    watch = Recorder()
    fit(params_of(), watch, epochs=1)

    state = watch.saved[0].state

    assert json.loads(json.dumps(state)) == state


def test_the_end_that_a_client_asks_for_keeps_the_best_epoch() -> None:
    fitted = fit(params_of(), Recorder(enough_after=2))

    assert (fitted.stopped_by, fitted.epochs) == ("cancel", 2)
    assert fitted.best_epoch is not None


@pytest.mark.parametrize("name", NETWORKS)
def test_with_half_the_digits_it_learns_nearly_the_same(name: str) -> None:
    whole, half = (fit(params_of(name, precision=precision), Recorder()) for precision in ("float32", "bfloat16"))

    assert half.history != whole.history
    assert half.history[-1]["val_loss"] == pytest.approx(whole.history[-1]["val_loss"], abs=0.05)


def test_little_music_is_learned_in_fewer_rows_so_that_there_is_something_before_each_step() -> None:
    few = [counting(20, first=first) for first in range(2)]
    params = params_of(batch_size=64, average=0.5)

    fitted = training.fit(
        spec_of(params), params, epoch=lambda number: few, epochs=60, validation=PIECES[5:], watch=Recorder(),
        checkpoint=None,
    )  # fmt: skip

    assert fitted.history[-1]["val_accuracy"] > 0.9


def test_cancelled_it_leaves_within_an_epoch() -> None:
    with pytest.raises(JobCancelled):
        fit(params_of(), Recorder(leave_after=1, leaving=JobCancelled), epochs=1000)


def test_without_improvement_it_stops() -> None:
    params = params_of(early_stopping={"patience": 2, "min_delta": 100.0})

    fitted = fit(params, Recorder(), epochs=50)

    assert (fitted.stopped_by, fitted.epochs) == ("early_stopping", 3)


def test_a_rate_that_breaks_it_is_said_with_advice() -> None:
    params = params_of(learning_rate=10.0, optimizer="sgd", clip_norm=None, network={**NETWORKS["gru"], "dropout": 0})

    with pytest.raises(JobFailed, match="learning_rate") as failed:
        training.fit(
            spec_of(params),
            params,
            epoch=lambda number: [Steps(each.tokens, each.codes, each.context + 1e30) for each in PIECES],
            epochs=5,
            validation=[],
            watch=Recorder(),
            checkpoint=None,
        )

    assert failed.value.code == "training_diverged"


@pytest.mark.parametrize(
    ("gru", "decoder"),
    [(Gru(type="gru"), Decoder(type="decoder"))],
)
def test_the_shapes_that_are_counted_are_those_that_are_built(gru: Gru, decoder: Decoder) -> None:
    for network in (gru, decoder):
        spec = SequenceSpec(network, codes=(7, 9), tokens=(4, 6), context=3)

        assert {name: value.shape for name, value in training.draw(spec, seed=0).items()} == spec.shapes
        assert SequenceSpec.from_json(json.loads(json.dumps(spec.as_json()))) == spec


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
count = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
from tests.worker.sequences.test_training import PIECES, params_of, spec_of
from worker.sequences import streams
from worker.sequences.learner import Learner
from worker.sequences.spec import draw
plain = {**params_of(sys.argv[2]).network.model_dump(), "dropout": 0.0}
plain = {name: 0.0 if name == "recurrent_dropout" else value for name, value in plain.items()}
# Adam makes a step of its own out of what is rounding.
params = params_of(sys.argv[2], network=plain, optimizer="sgd")
spec = spec_of(params)
devices = [f"CPU:{place}" for place in range(count)]
learner = Learner(spec, draw(spec, seed=1), params, devices=devices)
layout = streams.cut(PIECES, spec, rows=4, window=16)
state = learner.first_state(4)
for place in range(len(layout)):
    loss, state = learner.learn(layout, place, state, rate=0.1, seed=place)
    print(f"{loss:.6f}")
for name, variable in learner.average.items():
    print(name, f"{float(np.abs(variable.numpy()).sum()):.3f}")
"""


@pytest.mark.parametrize("name", NETWORKS)
def test_on_two_devices_it_learns_what_it_learns_on_one(name: str) -> None:
    said = []
    for count in (1, 2):
        ran = subprocess.run(
            [sys.executable, "-c", TWO_DEVICES, str(count), name],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(ran.stdout.split())

    assert len(said[0]) == len(said[1])
    for one, other in zip(*said, strict=True):
        if one.replace(".", "").isdigit():
            assert float(one) == pytest.approx(float(other), abs=2e-3)
        else:
            assert one == other
