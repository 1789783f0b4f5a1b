"""The networks that rank: what they find of a planted taste, how they stop and go on, and their answers in NumPy."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from shared.errors import JobFailed
from shared.kinds.recommendation import TowerLayer
from shared.training_params import PlateauDecay, Training
from tests.worker import plays
from worker.recommenders import accuracy, popularity, ranking, splits, towers, towers_network
from worker.recommenders.histories import Histories, gather, single
from worker.recommenders.ranking import Rules
from worker.recommenders.recommender import Recommender
from worker.recommenders.splits import Task
from worker.recommenders.towers import Method, Towers
from worker.recommenders.towers_training import Fitted, Settings, State, fit

METHODS: tuple[Method, ...] = ("two_tower", "autoencoder")
LAYERS = (TowerLayer(units=24, activation="tanh", dropout=0.2), TowerLayer(units=16, activation="gelu"))


def settings(method: Method = "autoencoder", *, epochs: int = 3, hidden: tuple[TowerLayer, ...] = (), **training: Any
             ) -> Settings:  # fmt: skip
    params = Training(**{"optimizer": "adam", "learning_rate": 0.01, "batch_size": 64, **training})
    return Settings(method, "damped", 16, hidden, dropout=0.5, l2=1e-4, epochs=epochs, training=params)


def planted(*, users: int = 400, items: int = 200) -> tuple[Task, sparse.csr_matrix]:
    """Plays of known tastes, and the genre of each item as its content."""
    made = plays.make(users, items, events_a_user=30)
    genres = sparse.csr_matrix(np.eye(len(plays.GENRES), dtype=np.float32)[made.genre])
    return splits.divide(plays.interactions(made), "random", seed=0).validation, genres


def drawn(users: int = 40, items: int = 30) -> Histories:
    random = np.random.default_rng(0)
    user, item = random.integers(0, users, users * 6), random.integers(0, items, users * 6)
    return gather(user, item, 1.0 + random.geometric(0.3, users * 6), users=users, items=items)


def content(items: int, *, seed: int = 1) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.random.default_rng(seed).normal(size=(items, 5)).astype(np.float32))


def learn(given: Histories, wanted: Settings, features: sparse.csr_matrix | None = None, **said: Any) -> Fitted:
    return fit(given, features, wanted, **{"judge": None, "patience": 4, "told": lambda figures: None, **said})


def recall(model: Recommender, task: Task) -> float:
    lists = ranking.rank(model, task.given, Rules(k=20)).items
    return float(np.mean(accuracy.per_user(lists, task.hidden, (20,))["recall@20"]))


def same(first: Towers, second: Towers) -> bool:
    (said, arrays), (others, their_arrays) = first.describe(), second.describe()
    return said == others and all(np.array_equal(arrays[name], their_arrays[name]) for name in arrays | their_arrays)


@pytest.mark.parametrize("hidden", [(), LAYERS], ids=["plain", "layers"])
@pytest.mark.parametrize("method", METHODS)
def test_a_planted_taste_is_found_better_than_by_popularity(method: Method, hidden: tuple[TowerLayer, ...]) -> None:
    task, _ = planted()

    fitted = learn(task.train, settings(method, epochs=40, hidden=hidden), judge=lambda model: recall(model, task))

    assert recall(fitted.towers, task) > 1.3 * recall(popularity.fit(task.train), task)


def test_new_items_are_found_by_their_content() -> None:
    task, genres = planted()
    is_new = np.random.default_rng(3).random(task.train.count) < 0.2
    known, hidden = (task.train.only(is_new[task.train.items] == part) for part in (False, True))

    model = learn(known, settings("two_tower", epochs=20), genres).towers

    users = np.flatnonzero((hidden.lengths > 0) & (known.lengths > 0))
    lists = ranking.rank(model, known.take(users), Rules(k=5, allowed=is_new)).items
    found = np.mean(accuracy.per_user(lists, hidden.take(users), (5,))["recall@5"])
    by_chance = np.mean(ranking_by_chance(hidden.take(users), int(is_new.sum()), 5))
    assert not len(model.unknown)
    assert found > 2 * by_chance


def ranking_by_chance(hidden: Histories, items: int, k: int) -> np.ndarray:
    """The recall that is expected of k items that are drawn."""
    expected: np.ndarray = k * hidden.lengths / items / np.minimum(k, hidden.lengths)
    return expected


@pytest.mark.parametrize("method", METHODS)
def test_a_score_is_a_bias_and_the_sum_of_what_each_item_adds(method: Method) -> None:
    given = drawn()
    model = learn(given, settings(method), content(given.count)).towers
    items, weights = given.of(7)
    wanted = np.arange(given.count)

    added = model.contributions(items, weights, wanted)

    alone = single(items.tolist(), weights.tolist(), count=given.count)
    expected = model.scores(model.read(alone))[0] - model.bias
    assert added.sum(axis=0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("hidden", [(), LAYERS], ids=["plain", "layers"])
def test_a_listener_is_read_alike_whoever_stands_beside(hidden: tuple[TowerLayer, ...]) -> None:
    given = drawn()
    model = learn(given, settings(hidden=hidden)).towers

    together = model.read(given)

    alone = [model.read(given.within(user, user + 1))[0] for user in range(len(given))]
    assert np.array_equal(together, np.array(alone))


def test_what_is_stored_is_the_same_network() -> None:
    model = learn(drawn(), settings(hidden=LAYERS)).towers

    assert same(towers.restore(*model.describe()), model)


class Left(Exception):
    """Raised by a test where a training is to be left."""


def leave_at(place: int) -> Callable[[dict[str, float]], None]:
    """Leave at the so manieth call."""
    calls = iter(range(10_000))

    def told(figures: dict[str, float]) -> None:
        if next(calls) == place:
            raise Left

    return told


# In the first epoch, in the second, between two, in the last, and after it.
@pytest.mark.parametrize("place", [3, 12, 17, 40, 44])
@pytest.mark.parametrize("method", METHODS)
def test_a_training_that_was_left_goes_on_as_if_nothing_had_happened(
    method: Method, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(towers_network, "COMPILED_FROM", 0 if place == 12 else 1e9)
    given = drawn()
    wanted = settings(method, epochs=5, hidden=LAYERS, learning_rate=PlateauDecay(schedule="plateau", patience=1))
    said: dict[str, Any] = {"features": content(given.count), "judge": lambda model: float(model.bias[3])}
    whole_one = learn(given, wanted, **said)
    kept: list[State] = []
    with pytest.raises(Left):
        learn(given, wanted, **said, told=leave_at(place), save=kept.append)

    state = replace(kept[-1], said=json.loads(json.dumps(kept[-1].said))) if kept else None
    resumed = learn(given, wanted, **said, state=state)

    assert resumed.history == whole_one.history
    assert resumed.epochs == whole_one.epochs
    assert same(resumed.towers, whole_one.towers)


def test_what_is_left_within_an_epoch_has_told_how_far_it_is() -> None:
    told: list[dict[str, float]] = []

    learn(drawn(), settings(epochs=1), told=told.append)

    assert [figures["epoch"] for figures in told] == [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
    assert [set(figures) for figures in told[-2:]] == [{"epoch"}, {"epoch", "loss", "learning_rate"}]


def test_early_stopping_keeps_the_best_epoch() -> None:
    values, seen = iter([1.0, 3.0, 2.0, 3.0]), []

    def judge(model: Towers) -> float:
        seen.append(model)
        return next(values)

    fitted = learn(drawn(), settings(epochs=50), judge=judge, patience=2)

    assert fitted.epochs == 2
    assert [figures["validation"] for figures in fitted.history] == [1, 3, 2, 3]
    assert same(fitted.towers, seen[1])


def test_a_training_that_has_stopped_is_over_when_it_goes_on() -> None:
    kept: list[State] = []
    said: dict[str, Any] = {"judge": lambda model: 1.0, "patience": 2}
    stopped = learn(drawn(), settings(epochs=50), **said, save=kept.append)

    resumed = learn(drawn(), settings(epochs=50), **said, state=kept[-1])

    assert len(resumed.history) == len(stopped.history) == 3
    assert same(resumed.towers, stopped.towers)


def test_without_a_judge_so_many_epochs_are_run_as_the_best_took() -> None:
    values = iter([1.0, 3.0, 2.0, 1.0])
    chosen = learn(drawn(), settings(epochs=50), judge=lambda model: next(values), patience=2)

    again = learn(drawn(), replace(settings(), epochs=chosen.epochs))

    assert again.epochs == 2
    assert same(again.towers, chosen.towers)


def test_the_same_seed_learns_the_same_and_another_does_not() -> None:
    first, again, other = (learn(drawn(), settings(seed=seed)).towers for seed in (1, 1, 2))

    assert same(first, again)
    assert not np.array_equal(first.vectors, other.vectors)


def test_the_learning_rate_goes_down_on_a_plateau() -> None:
    rate = PlateauDecay(schedule="plateau", initial=0.01, factor=0.5, patience=2)
    wanted = settings(epochs=6, learning_rate=rate)

    fitted = learn(drawn(), wanted, judge=lambda model: 1.0, patience=10)

    assert [figures["learning_rate"] for figures in fitted.history] == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]


@pytest.mark.parametrize("method", METHODS)
def test_what_nobody_has_played_is_unknown_without_content(method: Method) -> None:
    given = replace(drawn(), count=32)
    features = content(32)
    features.data[features.indptr[31] :] = 0
    features.eliminate_zeros()

    plain, by_content = (learn(given, settings(method), each).towers for each in (None, features))

    assert plain.unknown.tolist() == [30, 31]
    assert by_content.unknown.tolist() == ([31] if method == "two_tower" else [30, 31])
    assert np.isneginf(by_content.scores(by_content.read(given))[:, 31]).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_listener_is_learned_from(method: Method) -> None:
    given = single([2, 4, 5], [1.0, 3.0, 9.0], count=7)

    model = learn(given, settings(method)).towers

    assert np.isfinite(model.scores(model.read(given))[0, [2, 4, 5]]).all()
    assert model.unknown.tolist() == [0, 1, 3, 6]


@pytest.mark.parametrize("method", METHODS)
def test_one_item_of_one_listener_is_learned_from(method: Method) -> None:
    given = single([0], [1.0], count=1)

    model = learn(given, settings(method), content(1)).towers

    assert np.isfinite(model.scores(model.read(given))).all()


def test_listeners_of_nothing_are_passed_over() -> None:
    given = drawn()
    none = Histories(np.append(given.indptr, [given.indptr[-1]] * 2), given.items, given.weights, given.count)

    assert same(learn(none, settings()).towers, learn(given, settings()).towers)
    assert not learn(none, settings()).towers.read(none)[-1].any()


@pytest.mark.parametrize("method", METHODS)
def test_of_plays_of_nobody_nothing_is_learned(method: Method) -> None:
    none = gather(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), users=2, items=3)

    model = learn(none, settings(method), content(3)).towers

    assert model.unknown.tolist() == ([] if method == "two_tower" else [0, 1, 2])
    assert np.isfinite(model.scores(model.read(none))[:, model.known]).all()


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    wanted = settings(optimizer="gradient_descent", learning_rate=10.0)

    with pytest.raises(JobFailed) as failed:
        learn(drawn(), replace(wanted, l2=1e30))

    assert failed.value.code == "training_diverged"
