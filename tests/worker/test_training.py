"""A training that is interrupted, repeated or cut into chunks ends bit for bit as one that was left alone."""

from typing import Any

import numpy as np
import pytest

from shared.errors import JobCancelled, JobFailed
from shared.fronts import Augmentation, Block, Front
from tests.worker import training_cases as cases
from tests.worker.training_cases import KilledError, Saving, Silent, describe, fit, same_bytes
from worker import training
from worker.fitted import Fitted
from worker.networks import NetworkSpec
from worker.training import Objective, Table

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
        def pauses_after(self, epoch: int, total: int) -> int | None:
            return None

        def is_budget_spent(self) -> bool:
            return len(self.reported) >= 3

    fitted = run(watch=Spent())

    assert (fitted.stopped_by, fitted.epochs, len(fitted.history)) == ("budget", 3, 3)


@pytest.mark.parametrize("stopping", [False, {"patience": 90, "restore_best": False}])
def test_who_has_enough_gets_the_best_epoch(one_epoch_a_chunk: None, stopping: Any) -> None:
    class Enough(Silent):
        def is_enough(self) -> bool:
            return len(self.reported) >= 6

    wild = {**PARAMS, "learning_rate": 0.3, "early_stopping": stopping}

    fitted = run(watch=Enough(), params=wild)

    best = int(min(fitted.history, key=lambda row: row["val_loss"])["epoch"])
    alone = run(params={**wild, "epochs": best, "early_stopping": False})
    assert (fitted.stopped_by, fitted.epochs, fitted.best_epoch) == ("cancel", 6, best)
    assert best < 6 and all(np.array_equal(fitted.weights[name], kept) for name, kept in alone.weights.items())


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


HEARD = Front(
    frames=20, bands=12, blocks=(Block(filters=3, frames=2, bands=2), Block(filters=4, frames=2, bands=3)),
    augmentation=Augmentation(),
)  # fmt: skip


def crops(rows: int = 60) -> Table:
    """Segments in whose upper half a class is loud."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, (rows, 1)).astype(np.float32)
    x = random.random((rows, 20, 12))
    x[:, :, 6:] += y[:, :, None]
    return Table(x.astype(np.float16), y)


def run_front(*, seed: int = 11, watch: Silent | None = None, checkpoint: Any = None) -> Fitted:
    train, held_out = cases.split(crops(), held_out=20)
    spec = describe(train, HIDDEN, "sigmoid").under(HEARD)
    params = {**PARAMS, "epochs": 6, "seed": seed}
    return fit(spec, BINARY, params, train=train, validation=held_out, watch=watch, checkpoint=checkpoint)


def test_a_network_that_hears_is_the_same_from_the_same_seed_and_another_from_another() -> None:
    first = run_front()
    run_front(seed=12)

    assert same_bytes(first, run_front())
    training._traces.clear()
    assert same_bytes(first, run_front())
    assert not same_bytes(first, run_front(seed=12))


def test_a_network_that_hears_is_scaled_by_its_training_rows_alone() -> None:
    train, _ = cases.split(crops(), held_out=20)

    weights = run_front().weights

    wide = train.x.astype(np.float64)
    np.testing.assert_allclose(weights["front.mean"], wide.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(weights["front.scale"], wide.std(axis=(0, 1)), rtol=1e-5)


def test_a_killed_network_that_hears_goes_on_as_if_nothing_had_happened() -> None:
    alone, killed = run_front(), Saving(leave_after=3)
    with pytest.raises(KilledError):
        run_front(watch=killed)
    run_front(seed=12)

    resumed = run_front(checkpoint=killed.checkpoints[-1])

    assert same_bytes(resumed, alone)


@pytest.mark.parametrize("chunk_s", [0.0, 1e9], ids=["batch-by-batch", "at-once"])
def test_the_parts_of_an_epoch_change_nothing(monkeypatch: pytest.MonkeyPatch, chunk_s: float) -> None:
    alone = run_front()

    monkeypatch.setattr(training, "CHUNK_S", chunk_s)

    assert same_bytes(run_front(), alone)


def test_a_network_that_hears_can_be_left_in_the_midst_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving(Silent):
        asked = 0

        def check(self) -> None:
            self.asked += 1
            if self.asked == 2:
                raise JobCancelled

    monkeypatch.setattr(training, "CHUNK_S", 0.0)
    watch = Leaving()

    with pytest.raises(JobCancelled):
        run_front(watch=watch)

    assert watch.reported == []


def test_an_epoch_in_parts_is_one_of_the_table_s_own_epochs() -> None:
    table, held_out = cases.split(cases.binary(), held_out=20)
    whole, parted = (_epochs(SPEC, table, held_out, in_parts=parts) for parts in (False, True))

    assert whole.history == parted.history
    assert all(np.array_equal(*pair) for pair in zip(_arrays(whole), _arrays(parted), strict=True))


def _epochs(spec: NetworkSpec, table: Table, held_out: Table, *, in_parts: bool) -> Any:
    chosen = cases.TrainParams.model_validate({**PARAMS, "epochs": 3})
    epochs = training._prepare(spec, BINARY, chosen, table, held_out)
    under_way = training._Training(epochs, BINARY, chosen, train=table, validation=held_out, watch=Silent())
    data = under_way._tensors()
    for _ in range(3):
        under_way._advance_in_parts(data) if in_parts else under_way._advance(data, 1)
    under_way.arrays = [array.copy() for array in under_way._checkpoint().arrays.values()]  # type: ignore[attr-defined]
    return under_way


def _arrays(under_way: Any) -> list[np.ndarray]:
    return list(under_way.arrays)


def test_a_network_that_hears_tells_where_it_diverged() -> None:
    train = crops()
    spec = describe(train, [], "linear").under(HEARD)
    wild = Table(train.x, train.y * np.float32(1e30))

    with pytest.raises(JobFailed, match="epoch 1, step 1") as caught:
        fit(spec, Objective("mean_squared_error"), {"epochs": 3, "seed": 1}, train=wild)

    assert caught.value.code == "training_diverged"
