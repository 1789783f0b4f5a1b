"""Models that rank, against other ways to the same numbers, on cases small enough to be worked by hand."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from worker.recommenders import als, autoencoder, neighbours, popularity
from worker.recommenders.artifacts import FORMS
from worker.recommenders.factors import Factors
from worker.recommenders.histories import Histories, gather, single
from worker.recommenders.linear import Linear
from worker.recommenders.recommender import Recommender
from worker.recommenders.towers import Layer, Towers

# Three listeners, four items: a b, a c, a b c; nobody has played d.
SMALL = gather(
    np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 1, 0, 2, 0, 1, 2]), np.ones(7), users=3, items=4
)  # fmt: skip


def drawn(users: int, items: int, *, seed: int = 0) -> Histories:
    random = np.random.default_rng(seed)
    user, item = random.integers(0, users, users * 6), random.integers(0, items, users * 6)
    return gather(user, item, 1.0 + random.geometric(0.3, users * 6), users=users, items=items)


def full(given: Histories, **settings: Any) -> Linear:
    return autoencoder.fit(given, **{"ridge_power": 0.0, "score_power": 0.0, **settings})


def test_popularity_is_the_share_of_listeners() -> None:
    model = popularity.fit(SMALL)

    assert model.ranked.tolist() == pytest.approx([1, 2 / 3, 2 / 3, -np.inf])
    assert model.known.tolist() == [True, True, True, False]


def test_neighbours_are_cosines_with_a_shrink() -> None:
    model = neighbours.fit(SMALL, neighbours=3, shrink=1.0, weighting="binary")

    # a and b are played together twice; by 3 and by 2 listeners: 2 / (sqrt(6) + 1). b and c once: 1 / (2 + 1).
    matrix = model.matrix.toarray()
    assert matrix[0, 1] == pytest.approx(2 / (np.sqrt(6) + 1))
    assert matrix[1, 2] == pytest.approx(1 / 3)
    assert np.diag(matrix).tolist() == [0, 0, 0]
    assert model.places.tolist() == [0, 1, 2]


def test_only_the_nearest_neighbours_are_kept() -> None:
    model = neighbours.fit(SMALL, neighbours=1, shrink=0.0, weighting="binary")

    # The nearest of b and of c is a; of a it is b, the first of two that are as near.
    assert (model.matrix.toarray() > 0).astype(int).tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]


def test_a_linear_autoencoder_is_what_least_squares_find_with_a_diagonal_of_zeros() -> None:
    given = drawn(40, 9)
    model = full(given, l2=3.0, dropout=0.0, weighting="binary", items_at_most=100)

    x = given.weighted("binary").matrix().toarray().astype(np.float64)
    for item in range(9):
        others = [each for each in range(9) if each != item]
        gram = x[:, others].T @ x[:, others] + 3.0 * np.eye(8)
        expected = np.linalg.solve(gram, x[:, others].T @ x[:, item])
        assert model.matrix[others, item] == pytest.approx(expected, abs=1e-5)
        assert model.matrix[item, item] == 0


def test_items_played_more_may_have_a_larger_ridge_and_smaller_scores() -> None:
    given = drawn(40, 9)
    model = full(given, l2=3.0, dropout=0.0, weighting="log", items_at_most=100, ridge_power=0.5, score_power=0.25)

    x = given.weighted("log").matrix().toarray().astype(np.float64)
    played = (x**2).sum(axis=0)
    inverse = np.linalg.inv(x.T @ x + np.diag(3.0 * np.sqrt(played)))
    expected = -inverse / np.diag(inverse) * played**-0.25
    np.fill_diagonal(expected, 0)
    assert model.matrix == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rank", [4, 8, 9, 50])
def test_a_low_rank_is_the_best_of_ridge_regression(rank: int) -> None:
    given = drawn(40, 9)
    model = autoencoder.fit_rank(
        given, rank=rank, l2=3.0, ridge_power=0.5, score_power=0.25, weighting="damped"
    )  # fmt: skip

    x = given.weighted("damped").matrix().toarray().astype(np.float64)
    played = (x**2).sum(axis=0)
    ridge = 3.0 * np.sqrt(played)
    # Of full rank it is (G + D)⁻¹ G, from row to column, each column shrunk; of a lower one its largest directions.
    values, directions = np.linalg.eigh(x.T @ x / np.sqrt(np.outer(ridge, ridge)))
    kept = np.argsort(-values)[:rank]
    shrunken = (directions[:, kept] * (values[kept] / (values[kept] + 1))) @ directions[:, kept].T
    expected = shrunken / np.sqrt(ridge)[:, None] * np.sqrt(ridge) * played**-0.25
    assert model.reading @ model.vectors.T == pytest.approx(expected, abs=1e-5)
    if rank >= 9:
        gram = x.T @ x
        assert expected == pytest.approx(np.linalg.solve(gram + np.diag(ridge), gram) * played**-0.25, abs=1e-8)


def test_what_nobody_has_played_has_no_vector() -> None:
    model = autoencoder.fit_rank(SMALL, rank=2, l2=1.0, ridge_power=0.5, score_power=0.1, weighting="binary")

    assert model.known.tolist() == [True, True, True, False]
    assert np.isneginf(model.scores(model.read(SMALL))[:, 3]).all()


def test_dropout_of_a_linear_autoencoder_is_what_hiding_plays_comes_to() -> None:
    given = drawn(40, 5)
    model = full(given, l2=2.0, dropout=0.4, weighting="binary", items_at_most=100)

    # Hide plays at random often enough and solve: the same matrix, up to chance. Kept ones stand for the hidden.
    x = given.weighted("binary").matrix().toarray().astype(np.float64)
    random, rounds = np.random.default_rng(1), 4000
    gram, cross = np.zeros((5, 5)), np.zeros((5, 5))
    for _ in range(rounds):
        hidden = x * (random.random(x.shape) >= 0.4) / 0.6
        gram += hidden.T @ hidden / rounds
        cross += hidden.T @ x / rounds
    for item in range(5):
        others = [each for each in range(5) if each != item]
        expected = np.linalg.solve(gram[np.ix_(others, others)] + 2.0 * np.eye(4), cross[others, item])
        assert model.matrix[others, item] == pytest.approx(expected, abs=0.02)


def test_a_linear_autoencoder_of_few_items_knows_the_most_played() -> None:
    model = full(SMALL, l2=1.0, dropout=0.0, weighting="binary", items_at_most=2)

    assert model.places.tolist() == [0, 1]
    assert np.isneginf(model.scores(model.read(SMALL))[:, 2:]).all()


def loss(model: Factors, given: Histories) -> float:
    """The sum that alternating least squares make small, with each listener where it is best."""
    users = model.read(given).astype(np.float64)
    played = np.zeros((len(given), given.count))
    played[given.users, given.items] = given.weighted(model.weighting).weights
    confidence = 1 + model.alpha * played
    errors = confidence * ((played > 0) - users @ model.vectors.T.astype(np.float64)) ** 2
    return float(errors.sum() + model.regularization * ((users**2).sum() + (model.vectors**2).sum()))


def test_alternating_least_squares_make_their_sum_smaller() -> None:
    given = drawn(60, 30)
    fitted = [
        als.fit(given, factors=6, alpha=4.0, regularization=0.5, iterations=rounds, weighting="log", seed=0)
        for rounds in (1, 3, 10, 30)
    ]

    losses = [loss(model, given) for model in fitted]
    assert losses == sorted(losses, reverse=True)


def test_alternating_least_squares_end_where_no_item_can_be_better() -> None:
    given = drawn(60, 30)
    model = als.fit(given, factors=4, alpha=2.0, regularization=1.0, iterations=60, weighting="binary", seed=0)

    users = model.read(given).astype(np.float64)
    played = given.weighted("binary").matrix().toarray()
    for item in range(30):
        confidence = 1 + model.alpha * played[:, item]
        gram = (users.T * confidence) @ users + np.eye(4)
        best = np.linalg.solve(gram, users.T @ (confidence * (played[:, item] > 0)))
        assert model.vectors[item] == pytest.approx(best, abs=0.03)


def test_whoever_plays_more_than_is_held_at_once_is_learned_from_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    given = drawn(30, 20)
    whole = als.fit(given, factors=3, alpha=2.0, regularization=1.0, iterations=3, weighting="binary", seed=0)
    monkeypatch.setattr(als, "CELLS_AT_ONCE", 6)

    parts = als.fit(given, factors=3, alpha=2.0, regularization=1.0, iterations=3, weighting="binary", seed=0)
    assert parts.vectors == pytest.approx(whole.vectors, abs=1e-4)


@pytest.mark.parametrize("short", [0, als.SHORT])
def test_rows_of_any_length_come_to_what_least_squares_find(monkeypatch: pytest.MonkeyPatch, short: int) -> None:
    random = np.random.default_rng(5)
    lengths = np.array([0, 1, 1, 2, 3, 5, 8, 13, 16, 17, 30, 0])
    user = np.repeat(np.arange(12), lengths)
    item = np.concatenate([random.choice(30, length, replace=False) for length in lengths])
    given = gather(user, item, random.random(len(user)) + 0.5, users=12, items=30)
    monkeypatch.setattr(als, "SHORT", short)
    monkeypatch.setattr(als, "STEPS", 12)
    extra, vectors, found = 3 * given.matrix(), random.normal(size=(30, 6)).astype(np.float32), np.zeros((12, 6), "f4")

    with ThreadPoolExecutor(2) as pool:
        als._solve(list(als._groups(extra, 6)), found, vectors, 2.0, pool)

    expected = Factors(vectors, "linear", 3.0, 2.0, np.array([], np.int32)).read(given)
    assert found == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("regularization", [0.0, 1e-9])
def test_without_regularization_fewer_items_than_factors_are_learned_all_the_same(regularization: float) -> None:
    model = als.fit(
        SMALL, factors=8, alpha=2.0, regularization=regularization, iterations=5, weighting="binary", seed=0
    )  # fmt: skip

    assert np.isfinite(model.vectors).all() and model.vectors[:3].any()


def tower(*, layers: tuple[Layer, ...] = ()) -> Towers:
    random = np.random.default_rng(2)
    reading, vectors = random.normal(size=(2, 12, 4)).astype(np.float32)
    bias = random.normal(size=12).astype(np.float32)
    return Towers("two_tower", "log", reading, layers, vectors, bias, np.array([11], np.int32))


def layer() -> Layer:
    random = np.random.default_rng(3)
    return Layer(random.normal(size=(4, 4)).astype(np.float32), np.ones(4, np.float32), "tanh")


MODELS: dict[str, Callable[[Histories], Recommender]] = {
    "popularity": popularity.fit,
    "neighbours": lambda given: neighbours.fit(given, neighbours=5, shrink=1.0, weighting="log"),
    "ease": lambda given: full(given, l2=1.0, dropout=0.3, weighting="log", items_at_most=10),
    "ease by vectors": lambda given: autoencoder.fit_rank(
        given, rank=5, l2=1.0, ridge_power=0.5, score_power=0.1, weighting="damped"
    ),
    "als": lambda given: als.fit(
        given, factors=5, alpha=2.0, regularization=0.3, iterations=3, weighting="log", seed=0
    ),
    "two_tower": lambda given: tower(),
    "two_tower with a layer": lambda given: tower(layers=(layer(),)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_what_its_description_restores(name: str) -> None:
    given = drawn(25, 12)
    model = MODELS[name](given)

    said, arrays = model.describe()
    again: Recommender = FORMS[said["form"]].restore(said, arrays)

    assert (again.scores(again.read(given)) == model.scores(model.read(given))).all()
    assert (again.known == model.known).all()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "popularity"])
def test_a_listener_is_scored_alike_whoever_stands_beside(name: str) -> None:
    given = drawn(25, 12)
    model = MODELS[name](given)
    users, chosen = model.read(given), np.tile(np.arange(10), (25, 1))
    together = model.refine(users, model.scores(users), chosen)

    for user in range(25):
        alone = model.read(given.within(user, user + 1))
        found = model.refine(alone, model.scores(alone), chosen[:1])
        assert (found[0] == together[user]).all()


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("popularity", "two_tower with a layer")])
def test_a_score_is_the_sum_of_what_was_played_adds_to_it(name: str) -> None:
    given = drawn(25, 12)
    model = MODELS[name](given)
    scores = model.scores(model.read(given))
    beside = getattr(model, "bias", getattr(model, "prior", None))

    for user in range(25):
        items, weights = given.of(user)
        wanted = np.flatnonzero(np.isfinite(scores[user]))
        sums = model.contributions(items, weights, wanted).sum(axis=0)
        others = 0 if beside is None else beside[wanted]
        assert scores[user, wanted] == pytest.approx(sums + others, abs=1e-4)


def test_a_linear_score_of_something_new_is_a_mean_of_what_is_like_it() -> None:
    matrix = np.array([[0, 2, 4], [1, 0, 3], [5, 6, 0]], np.float32)
    shares = sparse.csr_matrix(np.array([[0.25, 0, 0.75]], np.float32))
    model = Linear("ease", 5, "binary", np.array([0, 1, 3], np.int32), matrix, shares, np.array([4], np.int32))

    # Played is the first item: rows 0, so 0, 2 and 4; the new one has a quarter of the first and three of the third.
    scores = model.scores(model.read(single([0], [1], count=5)))[0]
    assert scores.tolist() == [0, 2, -np.inf, 4, 3]
    assert model.contributions(np.array([0]), np.array([1.0]), np.array([4])).tolist() == [[3.0]]
    like = model.similar(4)
    assert like is not None
    assert like.tolist() == [0.25, 0, -np.inf, 0.75, -np.inf]


def test_what_is_like_an_item_is_what_it_speaks_for() -> None:
    model = neighbours.fit(SMALL, neighbours=3, shrink=0.0, weighting="binary")

    like = model.similar(1)
    assert like is not None
    assert int(np.argmax(like)) == 0
    assert model.similar(3) is None
    assert popularity.fit(SMALL).similar(0) is None


def test_angles_between_vectors_say_what_is_alike() -> None:
    vectors = np.array([[1, 0], [2, 0.1], [0, 1], [0, 0]], np.float32)
    model = Factors(vectors, "binary", 1.0, 0.1, np.array([3], np.int32))

    like = model.similar(0)
    assert like is not None
    assert like[1] > 0.99
    assert like[2] == pytest.approx(0)
    assert np.isneginf(like[[0, 3]]).all()
    assert model.similar(3) is None
