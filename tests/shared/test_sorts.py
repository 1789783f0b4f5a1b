"""What sort of thing a cell holds is told, and nothing of what it says."""

import pytest

from shared import sorts


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (None, "nothing"),
        ("", "nothing"),
        (" \t", "blanks"),
        ("Björk", "text of 5 characters"),
        ("C", "text of 1 character"),
        ("nan", "text of 3 characters"),
        ("1_0", "text of 3 characters"),
        ("a\0b", "text of 3 characters, some of which cannot be printed"),
        ("x" * 1234, "text of 1,234 characters"),
        ("7", "a whole number"),
        (" 60.5", "a number with a fraction"),
        ("-3", "a negative number"),
        ("1e39", "a number too large for 32 bits"),
        ("1e999", "an infinite number"),
        (float("-inf"), "an infinite number"),
        (float("nan"), "no number (NaN)"),
        (10**400, "a number too large for 32 bits"),
        (True, "true or false"),
        (["rock", "pop"], "a list of 2"),
        ({"a": 1}, "an object"),
        ({"a"}, "something else"),
    ],
)
def test_of_a_cell_the_sort_is_told(cell: object, told: str) -> None:
    assert sorts.of(cell) == told
