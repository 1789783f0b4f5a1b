"""A training that is interrupted, repeated or cut into chunks ends bit for bit as one that was left alone."""

from typing import Any

import numpy as np
import pytest

from shared.errors import JobFailed
from tests.worker import training_cases as cases
from tests.worker.training_cases import KilledError, Saving, Silent, describe, fit, same_bytes
from worker import training
from worker.training import Fitted, Objective, Table

# Everything that has a state: dropout's seeds, running means, optimizer slots, the plateau, the best epoch.
HIDDEN: list[dict[str, Any]] = [{"units": 8, "batch_normalization": True, "dropout": 0.3}, {"units": 4}]
PARAMS: dict[str, Any] = {
    "epochs": 12,
    "batch_size": 16,
    "seed": 11,
    "optimizer": "adam",
    "learning_rate": {"schedule": "plateau", "initial": 0.02, "patience": 2},
    "early_stopping": {"patience": 8},
}
BINARY = Objective("binary_crossentropy", metrics=("accuracy",))
TRAIN, HELD_OUT = cases.split(cases.binary(), held_out=20)
SPEC = describe(TRAIN, HIDDEN, "sigmoid")


def run(*, params: dict[str, Any] = PARAMS, watch: Silent | None = None, checkpoint: Any = None) -> Fitted:
    return fit(SPEC, BINARY, params, train=TRAIN, validation=HELD_OUT, watch=watch, checkpoint=checkpoint)


@pytest.fixture
def one_epoch_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SMALL", 0)
    monkeypatch.setattr(training, "CHUNK_S", 0.0)


@pytest.fixture
def alone() -> Fitted:
    return run()


def test_chunks_change_nothing(alone: Fitted, one_epoch_a_chunk: None) -> None:
    watch = Saving()

    chunked = run(watch=watch)

    assert len(watch.checkpoints) == chunked.epochs
    assert same_bytes(chunked, alone)


@pytest.mark.parametrize("epochs", [1, 5, 9])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    alone: Fitted, one_epoch_a_chunk: None, epochs: int
) -> None:
    killed = Saving(leave_after=epochs)
    with pytest.raises(KilledError):
        run(watch=killed)
    other = {**PARAMS, "seed": 12}
    run(params=other)  # what ran in the same process meanwhile

    resumed = run(checkpoint=killed.checkpoints[-1])

    assert same_bytes(resumed, alone)
    assert resumed.best_epoch == alone.best_epoch


def test_three_kills_are_no_worse_than_one(alone: Fitted, one_epoch_a_chunk: None) -> None:
    checkpoint = None
    for _ in range(3):
        killed = Saving(leave_after=3)
        with pytest.raises(KilledError):
            run(watch=killed, checkpoint=checkpoint)
        checkpoint = killed.checkpoints[-1]

    assert same_bytes(run(checkpoint=checkpoint), alone)


def test_a_resumed_training_tells_all_epochs_again(one_epoch_a_chunk: None) -> None:
    killed = Saving(leave_after=4)
    with pytest.raises(KilledError):
        run(watch=killed)

    watch = Silent()
    resumed = run(watch=watch, checkpoint=killed.checkpoints[-1])

    assert [row["epoch"] for row in watch.reported] == list(range(1, resumed.epochs + 1))


def test_a_function_that_was_traced_before_gives_the_same_bytes(alone: Fitted) -> None:
    again = run()
    training._traces.clear()
    fresh = run()

    assert same_bytes(again, alone)
    assert same_bytes(fresh, alone)


def test_another_seed_is_another_network(alone: Fitted) -> None:
    assert not same_bytes(run(params={**PARAMS, "seed": 12}), alone)


def test_no_more_traces_are_kept_than_promised() -> None:
    for units in range(1, training.KEPT_TRACES + 4):
        spec = describe(TRAIN, [{"units": units}], "sigmoid")
        fit(spec, BINARY, {"epochs": 1}, train=TRAIN)

    assert len(training._traces) == training.KEPT_TRACES


def test_a_budget_ends_with_what_there_is(one_epoch_a_chunk: None) -> None:
    class Spent(Silent):
        def is_budget_spent(self) -> bool:
            return len(self.reported) >= 3

    fitted = run(watch=Spent())

    assert (fitted.stopped_by, fitted.epochs, len(fitted.history)) == ("budget", 3, 3)


def test_the_order_of_rows_is_a_function_of_seed_and_epoch() -> None:
    first, again, next_one = training.order(7, 0, 100), training.order(7, 0, 100), training.order(7, 1, 100)

    assert np.array_equal(first, again)
    assert not np.array_equal(first, next_one)
    assert np.array_equal(np.sort(first), np.arange(100))


def test_divergence_names_the_epoch_and_the_step_and_says_what_to_do() -> None:
    x = np.full((64, 4), 1e6, np.float32)
    table = Table(x, np.random.default_rng(0).normal(size=(64, 1)).astype(np.float32) * 1e6)
    spec = describe(table, [{"units": 8}], "linear")
    params = {"optimizer": "sgd", "learning_rate": 10.0, "epochs": 50, "batch_size": 16, "seed": 1}
    watch = Silent()

    with pytest.raises(JobFailed) as caught:
        fit(spec, Objective("mean_squared_error"), params, train=table, watch=watch)

    assert caught.value.code == "training_diverged"
    epoch, step = _diverge_bare(spec, params, table)
    assert f"epoch {epoch}, step {step}. " in caught.value.detail
    assert [row["epoch"] for row in watch.reported] == list(range(1, epoch))
    assert "clip_norm" in caught.value.detail
    # A training in the same process afterwards starts from nothing that this one broke.
    assert np.isfinite(fit(spec, Objective("mean_squared_error"), {**params, "learning_rate": 1e-15}, train=table)
                       .history[-1]["loss"])  # fmt: skip


def _diverge_bare(spec: Any, params: dict[str, Any], table: Table) -> tuple[int, int]:
    """Where Keras's own loss is first no number, batch by batch."""
    model = cases.bare(spec, seed=params["seed"])
    model.compile(cases.keras.optimizers.SGD(params["learning_rate"]), "mean_squared_error")
    for epoch in range(params["epochs"]):
        order = training.order(params["seed"], epoch, len(table.x))
        for step, first in enumerate(range(0, len(order), params["batch_size"])):
            batch = order[first : first + params["batch_size"]]
            model.reset_metrics()
            if not np.isfinite(model.train_on_batch(table.x[batch], table.y[batch])):
                return epoch + 1, step + 1
    raise AssertionError("it did not diverge")


def test_without_validation_the_training_loss_is_watched() -> None:
    spec = describe(TRAIN, [{"units": 4}], "sigmoid")
    params = {**PARAMS, "epochs": 40, "early_stopping": {"patience": 2, "min_delta": 1.0}}

    fitted = fit(spec, BINARY, params, train=TRAIN)

    assert (fitted.stopped_by, fitted.epochs, fitted.best_epoch) == ("early_stopping", 3, 1)
