"""Pieces laid out in rows and windows."""

import numpy as np
import pytest

from shared.sequence_networks import Gru
from worker.sequences import streams
from worker.sequences.spec import SequenceSpec
from worker.sequences.streams import Steps

SPEC = SequenceSpec(Gru(type="gru", units=[8]), codes=(50,), tokens=(50,), context=1)


def piece(first: int, length: int) -> Steps:
    numbers = np.arange(first, first + length, dtype=np.int32)[:, None]
    return Steps(numbers, numbers, numbers.astype(np.float32))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_every_step_stands_in_training_once_and_in_order(rows: int) -> None:
    pieces = [piece(0, 11), piece(20, 4), piece(30, 9)]

    layout = streams.cut(pieces, SPEC, rows=rows, window=4)

    is_there = np.moveaxis(layout.weights, 0, 1).reshape(rows, -1) == 1
    tokens = np.moveaxis(layout.tokens, 0, 1).reshape(rows, -1)
    assert tokens[is_there].tolist() == [*range(11), *range(20, 24), *range(30, 39)]


def test_what_is_known_before_the_first_step_of_a_piece_is_that_it_begins() -> None:
    layout = streams.whole([piece(0, 5), piece(20, 3)], SPEC, rows=1, window=8)

    assert layout.before[0, 0, :, 0].tolist() == [50, 0, 1, 2, 3, 50, 20, 21]
    assert layout.starts[0, 0].tolist() == [1, 0, 0, 0, 0, 1, 0, 0]


def test_whole_pieces_are_never_cut_over_two_rows() -> None:
    pieces = [piece(0, 11), piece(20, 4), piece(30, 9), piece(40, 7)]

    layout = streams.whole(pieces, SPEC, rows=3, window=4)

    owners = np.moveaxis(layout.pieces, 0, 1).reshape(3, -1)
    for number, each in enumerate(pieces):
        rows, _ = np.nonzero(owners == number)
        assert len(set(rows)) == 1
        assert len(rows) == len(each)


def test_more_rows_than_steps_leave_rows_empty() -> None:
    layout = streams.cut([piece(0, 2)], SPEC, rows=4, window=8)

    assert layout.weights.sum() == 2
