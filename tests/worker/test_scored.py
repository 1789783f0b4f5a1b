"""What was scored before is known by what it holds."""

import numpy as np
import pyarrow as pa
import pytest

from worker.scored import Scored, digests_of_rows, digests_of_tracks


def test_a_row_is_known_by_its_key_and_its_numbers() -> None:
    x = np.array([[1.0, 2.0], [1.0, 2.0], [np.nan, 0.0]], np.float32)
    known = Scored([digests_of_rows(pa.array(["a", "b", "c"]), x).tobytes()])

    asked = digests_of_rows(pa.array(["a", "c", "a", "d", "b"]), x[[0, 2, 2, 0, 1]])

    assert known.has(asked).tolist() == [True, True, False, False, True]


def test_keys_that_are_numbers_or_missing_have_digests_of_their_own() -> None:
    x = np.zeros((3, 1), np.float32)

    numbers, texts = digests_of_rows(pa.array([1, 2, None]), x), digests_of_rows(pa.array(["1", "2", None]), x)

    assert np.array_equal(numbers, texts) and len(np.unique(numbers, axis=0)) == 3


def test_a_track_is_known_by_its_key_and_what_is_heard() -> None:
    known = Scored([digests_of_tracks(["a", "b"], ["1" * 64, "2" * 64]).tobytes()])

    asked = digests_of_tracks(["a", "a", "b"], ["1" * 64, "2" * 64, "2" * 64])

    assert known.has(asked).tolist() == [True, False, True]


@pytest.mark.parametrize("size", [0, 1, 50])
def test_digests_that_share_a_half_are_told_apart(size: int) -> None:
    random = np.random.default_rng(size)
    pairs = random.integers(0, 4, (size, 2)).astype(np.uint64)
    known = Scored([pairs.astype("<u8").tobytes()])
    asked = random.integers(0, 5, (200, 2)).astype(np.uint64)

    expected = [tuple(each) in {tuple(pair) for pair in pairs.tolist()} for each in asked.tolist()]

    assert known.has(asked).tolist() == expected and len(known) == size


def test_nothing_is_known_of_no_rows() -> None:
    assert Scored().has(np.empty((0, 2), np.uint64)).tolist() == []
