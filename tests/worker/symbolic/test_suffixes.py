"""Passages that sequences share, against a search that tries everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.symbolic.suffixes import Suffixes

FEW = st.lists(st.integers(0, 3), max_size=12)


def codes(letters: list[int] | str) -> np.ndarray:
    return np.array([ord(each) if isinstance(each, str) else each for each in letters], np.uint64) * np.uint64(2)


def plainly(stored: list[list[int]], asked: list[int], start: int) -> int:
    """How many codes from `start` on are somewhere in a row."""
    lengths = range(len(asked) - start, 0, -1)
    rows = [tuple(each[at : at + size]) for each in stored for at in range(len(each)) for size in range(len(each) + 1)]
    return next((length for length in lengths if tuple(asked[start : start + length]) in rows), 0)


@settings(deadline=None)
@given(stored=st.lists(FEW, max_size=5), asked=FEW)
def test_each_place_agrees_as_long_as_a_search_that_tries_everything_finds(
    stored: list[list[int]], asked: list[int]
) -> None:
    lengths, found = (suffixes := Suffixes.of([codes(each) for each in stored])).matches(codes(asked))

    for start, (length, place) in enumerate(zip(lengths.tolist(), found.tolist(), strict=True)):
        assert length == plainly(stored, asked, start)
        if length:
            sequence, at = suffixes.where(place)
            assert stored[sequence][at : at + length] == asked[start : start + length]


def test_a_passage_does_not_run_on_into_the_next_sequence() -> None:
    lengths, _ = Suffixes.of([codes("abc"), codes("def")]).matches(codes("abcdef"))

    assert lengths.tolist() == [3, 2, 1, 3, 2, 1]


def test_one_code_over_and_over_is_found_as_long_as_it_is() -> None:
    lengths, _ = Suffixes.of([codes("a" * 300), codes("a" * 500)]).matches(codes("a" * 800))

    assert lengths.max() == 500


@pytest.mark.parametrize("stored", [[], [codes("")], [codes(""), codes("")]])
def test_where_nothing_is_stored_nothing_is_found(stored: list[np.ndarray]) -> None:
    assert Suffixes.of(stored).matches(codes("ab"))[0].tolist() == [0, 0]
