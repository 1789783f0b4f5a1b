"""Which examples are one unit, and which of them are kept."""

import numpy as np

from worker.private import units


def test_a_row_is_a_unit_of_its_own() -> None:
    found = units.gather(np.array([7, 3, 5]), at_most=10)

    assert found.places.tolist() == [0, 1, 2]
    assert (found.starts.tolist(), found.lengths.tolist(), found.longest) == ([0, 1, 2], [1, 1, 1], 1)


def test_a_unit_has_all_its_examples_in_their_order() -> None:
    found = units.gather(np.array([4, 9, 4, 9, 9]), at_most=10)

    assert found.places.tolist() == [0, 2, 1, 3, 4]
    assert (len(found), found.lengths.tolist()) == (2, [2, 3])


def test_of_a_large_unit_examples_are_kept_evenly() -> None:
    found = units.gather(np.array([1] * 10 + [2]), at_most=3)

    assert found.places.tolist() == [0, 3, 6, 10]


def test_what_is_kept_of_a_unit_depends_on_no_other() -> None:
    codes = np.random.default_rng(0).integers(0, 20, 500)
    whole, fewer = units.gather(codes, at_most=8), units.gather(codes[codes != 13], at_most=8)

    def kept(found: units.Units, rows: np.ndarray) -> set[tuple[int, ...]]:
        return {
            tuple(rows[found.places[start : start + length]].tolist())
            for start, length in zip(found.starts, found.lengths, strict=True)
        }

    rows = np.arange(500)
    assert kept(fewer, rows[codes != 13]) == {each for each in kept(whole, rows) if codes[each[0]] != 13}
