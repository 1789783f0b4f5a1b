"""Suspicions of leakage are raised for segments of one song, and not for ordinary tables."""

import numpy as np
import pytest

from worker import leakage
from worker.tables import Texts


def column(words: list[str]) -> Texts:
    places = {word: place for place, word in enumerate(dict.fromkeys(words))}
    return Texts(list(places), np.array([places[word] for word in words], np.int32))


@pytest.mark.parametrize(
    "pattern", ["song.{:05}.wav.{}", "blues.{:05}.{}.wav", "track {}-{}", "K{}_mv{}", "op{}/no {}"]
)
def test_ids_of_parts_of_the_same_thing_are_suspected(pattern: str) -> None:
    words = [pattern.format(song, part) for song in range(40) for part in range(10)]

    said = leakage.shared_names("id", column(words))

    assert said is not None and "'id' has names that begin alike" in said


@pytest.mark.parametrize(
    "words",
    [
        [f"row.{row}" for row in range(400)],
        [f"{genre}.{row:05}.wav" for genre in ("blues", "rock", "pop", "jazz") for row in range(100)],
        [f"genre{genre}.{row:05}.wav" for genre in "abcdefghij" for row in range(100)],
        [f"{row:x}-{row * 7919:x}" for row in range(400)],
        ["C", "G", "D", "A"] * 100,
        [],
    ],
)
def test_ordinary_ids_and_words_are_not_suspected(words: list[str]) -> None:
    assert leakage.shared_names("id", column(words)) is None


def test_a_column_named_artist_is_suspected_when_artists_repeat() -> None:
    artists = [f"{name} Smith" for name in "ABCDEFGHIJKLMNOPQRST" for _ in range(20)]

    assert leakage.shared_names("artist_name", column(artists)) is not None
    assert leakage.shared_names("mood", column(artists)) is None


def test_long_texts_are_no_names_and_not_looked_at() -> None:
    words = [f"{'la' * 200} {song}.{part}" for song in range(40) for part in range(10)]

    assert leakage.shared_names("id", column(words)) is None


def test_rows_measured_twice_are_found_on_both_sides() -> None:
    random = np.random.default_rng(0)
    train = random.normal(size=(500, 8)).astype(np.float32)
    validation = np.concatenate([train[:25] * 1.0001, random.normal(size=(75, 8)).astype(np.float32)])

    found = leakage.near(train, validation)

    assert found is not None and found.share == 0.25
    assert len(found.pairs) == 10 and all(ours == its < 25 for its, ours in found.pairs)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 8, 64])
def test_independent_rows_are_not_near(columns: int) -> None:
    random = np.random.default_rng(columns)

    found = leakage.near(random.normal(size=(4000, columns)), random.normal(size=(1000, columns)))

    assert found is None or found.share < leakage.NEAR_SHARE


def test_columns_of_few_values_make_no_neighbours() -> None:
    random = np.random.default_rng(0)

    assert leakage.near(random.integers(3, size=(2000, 6)) * 1.0, random.integers(3, size=(500, 6)) * 1.0) is None
