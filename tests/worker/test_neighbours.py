"""The nearest tracks are those that a sort of all the cosines in double precision finds."""

import dataclasses

import numpy as np
import pytest

from tests.heard import cosines, random_means
from worker import neighbours
from worker.neighbours import Catalogue, fitting, nearest, unit

GENRES = ("rock", "pop", "jazz")


def catalogue(means: np.ndarray, **columns: list[object]) -> Catalogue:
    return Catalogue([f"t{place}" for place in range(len(means))], unit(means), columns)


def found(made: Catalogue, place: int, k: int, **where: str) -> list[tuple[int, float]]:
    (best,) = nearest(made, [place], k, fitting(made, where))
    return best


def oracle(means: np.ndarray, place: int, k: int, fits: np.ndarray) -> list[int]:
    """By sorting everything."""
    scores = cosines(means)[place]
    others = [other for other in range(len(means)) if other != place and fits[other]]
    return sorted(others, key=lambda other: (-scores[other], other))[:k]


@pytest.mark.parametrize("k", [1, 2, 10, 99, 100, 1000])
def test_the_nearest_are_those_of_a_sort_of_all(k: int) -> None:
    means = random_means(100)
    fits = np.ones(100, bool)

    for place in (0, 50, 99):
        best = found(catalogue(means), place, k)

        assert [other for other, _ in best] == oracle(means, place, k, fits)
        np.testing.assert_allclose([score for _, score in best], cosines(means)[place][[o for o, _ in best]], atol=2e-6)


def test_many_asked_for_together_are_answered_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "AT_ONCE", 7)
    made = catalogue(random_means(60))
    fits = fitting(made, {})

    together = nearest(made, range(60), 5, fits)

    assert [[other for other, _ in best] for best in together] == [
        [other for other, _ in found(made, place, 5)] for place in range(60)
    ]


def test_a_track_is_never_its_own_neighbour_and_never_one_twice() -> None:
    made = catalogue(random_means(30))

    for place, best in enumerate(nearest(made, range(30), 30, fitting(made, {}))):
        assert sorted(other for other, _ in best) == [other for other in range(30) if other != place]


def test_equal_ones_come_in_the_order_of_the_tracks() -> None:
    means = random_means(40)
    means[[3, 11, 12, 30]] = means[20]

    assert [other for other, _ in found(catalogue(means), 20, 3)] == [3, 11, 12]
    assert [score for _, score in found(catalogue(means), 20, 4)] == pytest.approx([1.0] * 4)


def test_the_length_of_a_mean_does_not_matter() -> None:
    means = random_means(50)
    louder = means * np.random.default_rng(1).uniform(0.01, 100, size=(50, 1)).astype(np.float32)

    quiet, loud = found(catalogue(means), 7, 10), found(catalogue(louder), 7, 10)

    assert [other for other, _ in quiet] == [other for other, _ in loud]


def test_what_was_not_heard_is_found_by_nobody() -> None:
    means = random_means(20)
    means[[2, 5]] = 0
    # The opposite of the one asked for is still nearer than one that was never heard.
    means[9] = -means[0]

    best = found(catalogue(means), 0, 20)

    assert {2, 5}.isdisjoint(other for other, _ in best)
    assert len(best) == 17
    assert best[-1] == (9, -1.0)


def test_zeros_stay_zeros_and_all_others_have_length_one() -> None:
    means = random_means(5)
    means[3] = 0

    lengths = np.linalg.norm(unit(means), axis=1)

    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], atol=1e-6)
    assert unit(means).dtype == np.float32


def test_a_catalogue_of_one_has_no_neighbours() -> None:
    assert found(catalogue(random_means(1)), 0, 10) == []


def test_conditions_keep_the_nearest_of_those_that_meet_all_of_them() -> None:
    means = random_means(90)
    genres = [GENRES[place % 3] for place in range(90)]
    years = [1990 + place % 4 for place in range(90)]
    made = catalogue(means, genre=list(genres), year=list(years))
    fits = np.array([g == "jazz" and y == 1993 for g, y in zip(genres, years, strict=True)])

    best = found(made, 0, 5, genre="jazz", year="1993")

    assert [other for other, _ in best] == oracle(means, 0, 5, fits)
    assert found(made, 0, 5, genre="polka") == []


@pytest.mark.parametrize(
    ("cells", "wanted", "fits"),
    [
        (["rock", "Rock", " rock", None], "rock", [True, False, False, False]),
        (["", None, "none", "None"], "", [True, True, False, False]),
        ([1993, 1994, None, -1993], "1993", [True, False, False, False]),
        ([1993.0, 1993.5, None, float("nan")], "1993", [True, False, False, False]),
        ([0.5, 0.25, None, 5.0], "0.5", [True, False, False, False]),
        ([True, False, None, True], "true", [True, False, False, True]),
        ([float("inf"), 1.0, None, 2.0], "inf", [True, False, False, False]),
    ],
)
def test_a_condition_is_compared_with_the_text_of_a_cell(cells: list[object], wanted: str, fits: list[bool]) -> None:
    made = catalogue(random_means(4), column=cells)

    assert fitting(made, {"column": wanted}).tolist() == fits


def test_a_column_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="mood"):
        fitting(catalogue(random_means(3)), {"mood": "sad"})


def test_a_vector_survives_its_row_of_sql_bit_by_bit() -> None:
    vector = random_means(1)[0]

    text = neighbours.as_text(vector)

    assert text.isascii()
    np.testing.assert_array_equal(neighbours.from_text(text), vector)
    np.testing.assert_array_equal(neighbours.from_text(neighbours.as_text(vector.astype(">f4"))), vector)


def test_a_vector_that_is_no_number_spoils_nobody_elses_answer_once_it_counts_as_not_heard() -> None:
    means = random_means(10)
    made = catalogue(means)
    fits = fitting(made, {})
    fits[4] = False
    spoilt = made.vectors.copy()
    spoilt[4] = np.nan

    best = nearest(dataclasses.replace(made, vectors=spoilt), [0], 5, fits)[0]

    assert [other for other, _ in best] == oracle(means, 0, 5, fits)
