"""The stored preprocessing: the same state makes the same matrix, and cells that fit nothing are told."""

import json

import numpy as np
import pytest

from shared.table_params import Preprocessing
from worker import features, learning
from worker.features import Category, Number
from worker.tables import MISSING, Texts


def texts(*words: str | None) -> Texts:
    places = {word: place for place, word in enumerate(dict.fromkeys(word for word in words if word is not None))}
    codes = np.array([MISSING if word is None else places[word] for word in words], np.int32)
    return Texts(list(places), codes)


def test_untouched_numbers_are_cast_and_nothing_else() -> None:
    x = np.random.default_rng(0).uniform(size=(100, 10))
    columns = {f"f{place}": column for place, column in enumerate(x.T)}

    matrix, bad = features.matrix(learning.untouched(columns), columns)

    assert bad == [] and matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, x.astype(np.float32))


def test_a_number_is_filled_then_clipped_then_scaled() -> None:
    feature = Number(name="bpm", fill=100.0, low=60.0, high=180.0, mean=110.0, scale=20.0, indicator=True)

    matrix, bad = features.matrix([feature], {"bpm": np.array([110.0, np.nan, 1e9, -5.0])})

    assert bad == []
    np.testing.assert_allclose(matrix, [[0, 0], [-0.5, 1], [3.5, 0], [-2.5, 0]])
    assert features.names([feature]) == ["bpm", "bpm is missing"]


@pytest.mark.parametrize(("value", "expected"), [(59.0, 60.0), (60.0, 60.0), (100.0, 100.0), (181.0, 180.0)])
def test_a_number_beyond_a_fence_is_clipped_in_a_column_without_holes(value: float, expected: float) -> None:
    feature = Number(name="bpm", fill=100.0, low=60.0, high=180.0)

    matrix, _ = features.matrix([feature], {"bpm": np.array([value, 120.0])})

    assert matrix[0, 0] == expected


def test_words_are_one_hot_and_what_is_unseen_or_missing_is_the_rest() -> None:
    feature = Category(name="key", words=("C", "G"), rest=True)

    matrix, _ = features.matrix([feature], {"key": texts("G", "F#", None, "C")})

    np.testing.assert_array_equal(matrix, [[0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]])
    assert features.names([feature]) == ["key = C", "key = G", "key = (other)"]


def test_without_a_rest_in_training_the_unseen_word_is_no_word() -> None:
    matrix, _ = features.matrix([Category(name="key", words=("C", "G"))], {"key": texts("F#", "C")})

    np.testing.assert_array_equal(matrix, [[0, 0], [1, 0]])


@pytest.mark.parametrize("column", [texts("True", "false"), np.array([1.0, 0.0]), texts("1", "0")])
def test_true_and_false_are_known_in_other_spellings(column: Texts | np.ndarray) -> None:
    feature = Category(name="live", words=("false", "true"), boolean=True)

    matrix, bad = features.matrix([feature], {"live": column})

    np.testing.assert_array_equal(matrix, [[0, 1], [1, 0]])
    assert bad == []


def test_a_category_of_whole_numbers_reads_them_as_their_digits() -> None:
    matrix, _ = features.matrix([Category(name="opus", words=("5", "18"), rest=True)], {"opus": np.array([18.0, 5, 7])})

    np.testing.assert_array_equal(matrix, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])


def test_text_that_is_a_number_is_read_as_one() -> None:
    matrix, bad = features.matrix([Number(name="bpm")], {"bpm": texts("120", " 9.5e1 ", "-3")})

    np.testing.assert_array_equal(matrix[:, 0], [120, 95, -3])
    assert bad == []


@pytest.mark.parametrize(
    ("word", "sort"),
    [
        ("fast", "text of 4 characters"),
        ("1_000", "text of 5 characters"),
        ("nan", "text of 3 characters"),
        ("inf", "text of 3 characters"),
        ("Infinity", "text of 8 characters"),
        ("12 bpm", "text of 6 characters"),
        ("٣", "text of 1 character"),
        ("", "nothing"),
    ],
)
def test_of_text_that_is_no_number_the_sort_is_told(word: str, sort: str) -> None:
    _, (bad,) = features.matrix([Number(name="bpm", fill=1.0)], {"bpm": texts("120", word)})

    assert bad.column == "bpm" and bad.rows.tolist() == [1]
    assert bad.reasons == [f"expected a number, received {sort}"]


def test_an_empty_cell_is_told_where_nothing_fills_it() -> None:
    _, (bad,) = features.matrix([Number(name="bpm")], {"bpm": np.array([np.nan, 1.0])})

    assert bad.rows.tolist() == [0] and bad.reasons == ["expected a number, the cell is empty"]


@pytest.mark.parametrize(
    ("value", "sort"),
    [(np.inf, "an infinite number"), (-np.inf, "an infinite number"), (1e300, "a number too large for 32 bits")],
)
def test_what_float32_cannot_hold_is_told_even_where_fences_would_hide_it(value: float, sort: str) -> None:
    feature = Number(name="bpm", fill=1.0, low=0.0, high=2.0)

    _, (bad,) = features.matrix([feature], {"bpm": np.array([1.0, value])})

    assert bad.rows.tolist() == [1] and bad.reasons[0].endswith(f"received {sort}")


def test_many_rows_are_the_same_as_few() -> None:
    random = np.random.default_rng(1)
    bpm, key = random.normal(100, 20, 20_001), random.integers(2, size=20_001)
    state, _ = learning.learn({"bpm": bpm, "key": Texts(["C", "G"], key)}, Preprocessing())

    whole, _ = features.matrix(state, {"bpm": bpm, "key": Texts(["C", "G"], key)})
    tail, _ = features.matrix(state, {"bpm": bpm[20_000:], "key": Texts(["C", "G"], key[20_000:])})

    np.testing.assert_array_equal(whole[20_000:], tail)


def test_the_state_survives_json() -> None:
    state = (Number(name="bpm", fill=0.1, low=1 / 3, mean=-2.5e-7, scale=3.0), Category(name="key", words=("C", "é")))

    restored = features.from_json(json.loads(json.dumps(features.as_json(state))))

    assert restored == state


@pytest.mark.parametrize(
    "state",
    [
        {"version": 2, "features": []},
        {"version": 1, "features": [{"type": "code", "name": "x"}]},
        {"version": 1, "features": [{"type": "number", "name": "x", "run": "rm"}]},
        {"version": 1, "features": [{"type": "number", "name": "x", "mean": float("nan")}]},
        {"version": 1, "features": [], "more": 1},
    ],
)
def test_a_state_that_is_not_ours_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        features.from_json(state)
